import { expect, test } from "vitest";
import { seccompPrologue } from "../../../../src/sandbox/builtin/seccomp-prologue.ts";
import { defaultSeccompProfile } from "../../../../src/sandbox/seccomp-profile.ts";

const allow = 0x7fff0000;
const errno = 0x00050000;
const ENOSYS = 38;
const fallThrough = "on to the filter";

const profile = defaultSeccompProfile("x64");
const unknownNames = ["fchmodat2", "clone3", "uretprobe"];

test.each([
  ["a name that the library does not know", 452, allow],
  ["the one that is answered ENOSYS on purpose", 435, errno | ENOSYS],
  ["names that it knows", 449, fallThrough],
  ["old calls", 0, fallThrough],
  ["the newest call of the profile", 466, fallThrough],
  ["a call newer than the profile", 467, errno | ENOSYS],
  ["calls far in the future", 0x3fffffff, errno | ENOSYS],
  ["calls of the x32 interface", 0x40000000 + 452, fallThrough],
  ["the number that a tracer leaves behind", 0xffffffff, fallThrough],
])("decides about %s", (_what, number, expected) => {
  expect(decide(seccompPrologue({ rules: profile.rules, unknownNames }), number)).toBe(expected);
});

/** The few instructions of classic BPF that the prologue is made of. */
function decide(program: Uint8Array, number: number): number | string {
  const bytes = Buffer.from(program);
  let accumulator = -1;
  for (let at = 0; at < bytes.length / 8; at += 1) {
    const code = bytes.readUInt16LE(at * 8);
    const value = bytes.readUInt32LE(at * 8 + 4);
    const jump = (isTrue: boolean): number => bytes.readUInt8(at * 8 + (isTrue ? 2 : 3));
    if (code === 0x20 && value === 0) accumulator = number;
    else if (code === 0x15) at += jump(accumulator === value);
    else if (code === 0x25) at += jump(accumulator > value);
    else if (code === 0x45) at += jump((accumulator & value) !== 0);
    else if (code === 0x06) return value;
    else throw new Error(`unexpected instruction ${code}`);
  }
  return fallThrough;
}

test("the profile names no system call twice", () => {
  const names = profile.rules.filter((rule) => !rule.conditions).flatMap((rule) => rule.names);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});
