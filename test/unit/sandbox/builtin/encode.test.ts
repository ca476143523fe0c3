import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { encodeProgram } from "../../../../src/sandbox/builtin/encode.ts";
import type { MachineArch } from "../../../../src/sandbox/builtin/encode.ts";
import type { Argument, Call, SyscallName } from "../../../../src/sandbox/builtin/program.ts";
import {
  at,
  reportTag,
  textDatum,
  textListDatum,
} from "../../../../src/sandbox/builtin/program.ts";
import { ReportReader } from "../../../../src/sandbox/builtin/report.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const run = promisify(execFile);
const ENOENT = 2;
const EBADF = 9;

function callOf(
  id: number,
  name: SyscallName,
  args: readonly Argument[],
  rest: Partial<Call> = {},
): Call {
  return { id, name, args, onError: { type: "fail" }, ...rest };
}

function say(id: number, text: string): Call {
  return callOf(id, "write", [1, at(textDatum(text)), Buffer.byteLength(text)]);
}

interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly reports: readonly object[];
}

/** Runs a program, on another architecture by the command in `emulator`. */
async function runProgram(
  program: { readonly arch: MachineArch; readonly calls: readonly Call[] },
  emulator: readonly string[],
): Promise<Finished> {
  const path = join(await temporaryFolder(), "program");
  await writeFile(path, encodeProgram(program.calls, program.arch), { mode: 0o700 });
  const [command = "", ...args] = [...emulator, path];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit", "pipe"] });
  const reader = new ReportReader();
  const reports: object[] = [];
  const channel = child.stdio[3];
  if (channel === null || channel === undefined) throw new Error("no report socket");
  channel.on("data", (chunk: Buffer) => reports.push(...reader.push(chunk)));
  let stdout = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { exitCode, stdout, reports };
}

const machines: readonly {
  readonly arch: MachineArch;
  readonly emulator: readonly string[];
}[] = [
  { arch: "x64", emulator: process.arch === "x64" ? [] : ["/usr/bin/qemu-x86_64-static"] },
  { arch: "arm64", emulator: process.arch === "arm64" ? [] : ["/usr/bin/qemu-aarch64-static"] },
];

describe.each(machines)("a program for $arch", ({ arch, emulator }) => {
  const missing = emulator.find((path) => !existsSync(path));

  test("makes its calls and exits", async (test) => {
    if (missing !== undefined) test.skip(`${missing} is missing`);
    const calls = [say(0, "one\n"), say(1, "two\n"), callOf(2, "exit_group", [42])];
    expect(await runProgram({ arch, calls }, emulator)).toEqual({
      exitCode: 42,
      stdout: "one\ntwo\n",
      reports: [],
    });
  });

  test("tells which call failed and why, and ends there", async (test) => {
    if (missing !== undefined) test.skip(`${missing} is missing`);
    const calls = [
      say(0, "before"),
      callOf(7, "chdir", [at(textDatum("/no/such"))]),
      say(8, "after"),
    ];
    expect(await runProgram({ arch, calls }, emulator)).toEqual({
      exitCode: 1,
      stdout: "before",
      reports: [{ type: "failed", call: 7, errno: ENOENT }],
    });
  });

  test("goes on after tolerated and noted errors, not after others", async (test) => {
    if (missing !== undefined) test.skip(`${missing} is missing`);
    const calls = [
      callOf(1, "close", [99], { onError: { type: "ignore" } }),
      callOf(2, "close", [99], { onError: { type: "tolerate", errnos: [ENOENT, EBADF] } }),
      callOf(3, "close", [99], { onError: { type: "note", errnos: [EBADF] } }),
      say(4, "on"),
      callOf(5, "close", [99], { onError: { type: "note", errnos: [ENOENT] } }),
      say(6, "never"),
    ];
    expect(await runProgram({ arch, calls }, emulator)).toEqual({
      exitCode: 1,
      stdout: "on",
      reports: [
        { type: "noted", call: 3, errno: EBADF },
        { type: "failed", call: 5, errno: EBADF },
      ],
    });
  });

  test("forks: parent and child go their own ways", async (test) => {
    if (missing !== undefined) test.skip(`${missing} is missing`);
    const sigchld = 17;
    const child = [say(10, "child "), callOf(11, "exit_group", [3])];
    const calls = [
      callOf(0, "clone", [sigchld, 0, 0, 0, 0], { child }),
      callOf(1, "wait4", [-1, 0, 0, 0]),
      say(2, "parent"),
      callOf(3, "exit_group", [0]),
    ];
    expect(await runProgram({ arch, calls }, emulator)).toEqual({
      exitCode: 0,
      stdout: "child parent",
      reports: [],
    });
  });

  test("ends quietly at the end of a file that it was to wait for", async (test) => {
    if (missing !== undefined) test.skip(`${missing} is missing`);
    const stdin = callOf(0, "read", [0, at(textDatum("x")), 1], { exitOnZero: true });
    expect(await runProgram({ arch, calls: [stdin, say(1, "never")] }, emulator)).toEqual({
      exitCode: 0,
      stdout: "",
      reports: [],
    });
  });

  test("hands arguments and environment to what it executes", async (test) => {
    if (missing !== undefined) test.skip(`${missing} is missing`);
    const script = 'printf "%s|%s|%s" "$0" "$1" "$VALUE"';
    const args = [
      at(textDatum("/bin/sh")),
      at(textListDatum(["sh", "-c", script, "zero", "ä€"])),
      at(textListDatum(["VALUE=a=b c"])),
    ];
    expect(await runProgram({ arch, calls: [callOf(0, "execve", args)] }, emulator)).toMatchObject({
      exitCode: 0,
      stdout: "zero|ä€|a=b c",
    });
  });
});

const constants = [0, 1, 0x7f, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 2 ** 40 + 5];
const negatives = [-1, -2, -100, -0x10000, -0x80000000, -0x80000001, -(2 ** 40) - 7];

test("x64: objdump reads every constant as it was meant, and the same bytes each time", async (test) => {
  if (!existsSync("/usr/bin/objdump")) test.skip("objdump is missing");
  const values = [...constants, ...negatives];
  const calls = values.map((value, id) =>
    callOf(id, "prctl", [value, value, value, value, value], { onError: { type: "ignore" } }),
  );
  const program = encodeProgram(calls, "x64");
  expect(encodeProgram(calls, "x64")).toEqual(program);
  const listing = await disassemble(program);
  const registers = ["di", "si", "dx", "10", "8"];
  for (const [id, value] of values.entries()) {
    const loads = loadsBefore(listing, id);
    const expected = BigInt.asUintN(64, BigInt(value));
    expect({ value, loads: registers.map((name) => loads.get(name)) }).toEqual({
      value,
      loads: registers.map(() => expected),
    });
    expect(loads.get("ax")).toBe(157n);
  }
  expect(listing.filter((line) => line.includes("(bad)"))).toEqual([]);
});

test("arm64: every constant is loaded as it was meant", () => {
  const values = [...constants, ...negatives];
  const calls = values.map((value, id) =>
    callOf(id, "prctl", [value, value, value, value, value], { onError: { type: "ignore" } }),
  );
  const program = Buffer.from(encodeProgram(calls, "arm64"));
  const registers = new Map<number, bigint>();
  const seen: object[] = [];
  for (let at = codeOffset(program); at < program.length; at += 4) {
    const word = program.readUInt32LE(at);
    if (word === 0xd4000001) seen.push([0, 1, 2, 3, 4, 8].map((name) => registers.get(name)));
    else moveWide(word, registers);
  }
  const prctl = 167n;
  expect(seen.slice(0, values.length)).toEqual(
    values.map((value) => {
      const expected = BigInt.asUintN(64, BigInt(value));
      return [expected, expected, expected, expected, expected, prctl];
    }),
  );
});

/** Carries out MOVZ, MOVN or MOVK (64 bit), the three instructions that load constants; ignores all others. */
function moveWide(word: number, registers: Map<number, bigint>): void {
  const operation = word >>> 23;
  const shift = BigInt(((word >>> 21) & 3) * 16);
  const immediate = BigInt((word >>> 5) & 0xffff) << shift;
  const target = word & 31;
  const kept = (registers.get(target) ?? 0n) & ~(0xffffn << shift);
  if (operation === 0b110100101) registers.set(target, immediate);
  if (operation === 0b100100101) registers.set(target, BigInt.asUintN(64, ~immediate));
  if (operation === 0b111100101) registers.set(target, kept | immediate);
}

/** Of the second program header, which is the code's. */
function codeOffset(program: Buffer): number {
  return Number(program.readBigUInt64LE(64 + 56 + 8));
}

/** One instruction a line, Intel's way of writing, without addresses and bytes. */
async function disassemble(program: Uint8Array): Promise<readonly string[]> {
  const path = join(await temporaryFolder(), "program");
  await writeFile(path, program);
  const offset = codeOffset(Buffer.from(program));
  const args = ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn"];
  const { stdout } = await run("objdump", [...args, `--start-address=${offset}`, path]);
  return stdout
    .split("\n")
    .flatMap((line) => /^\s*[0-9a-f]+:\s+(.*?)\s*$/.exec(line)?.[1] ?? [])
    .map((line) => line.replace(/\s+/g, " "));
}

/** What the instructions before system call number `id` put into registers, by the registers' short names. */
function loadsBefore(listing: readonly string[], id: number): ReadonlyMap<string, bigint> {
  const syscalls = listing.flatMap((line, i) => (line === "syscall" ? [i] : []));
  const from = id === 0 ? 0 : (syscalls[id - 1] ?? 0) + 1;
  const loads = new Map<string, bigint>();
  for (const line of listing.slice(from, syscalls[id])) {
    const [, name = "", source = ""] = /^(?:mov|movabs|xor) [er]?(\w+?)d?,(.*)$/.exec(line) ?? [];
    if (line.startsWith("xor")) loads.set(name, 0n);
    else loads.set(name, BigInt(source));
  }
  return loads;
}

test.each([
  ["failed", reportTag.failed],
  ["noted", reportTag.noted],
])("reports of what %s survive being cut anywhere", (type, tag) => {
  const bytes = Buffer.alloc(24);
  for (const [i, word] of [tag, 5, ENOENT, tag, 6, EBADF].entries()) {
    bytes.writeUInt32LE(word, i * 4);
  }
  const reader = new ReportReader();
  const reports = [...bytes].flatMap((byte) => reader.push(Buffer.from([byte])));
  expect(reports).toEqual([
    { type, call: 5, errno: ENOENT },
    { type, call: 6, errno: EBADF },
  ]);
});
