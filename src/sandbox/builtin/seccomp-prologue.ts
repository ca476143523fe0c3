import type { SeccompAction, SeccompRule } from "../../core/index.ts";

/**
 * Numbers of the newest system calls, which libraries of this or that age do not know by name. From 424 on numbers are
 * the same on every architecture.
 */
const sharedNumbers: Readonly<Record<string, number>> = {
  pidfd_send_signal: 424,
  pidfd_open: 434,
  clone3: 435,
  close_range: 436,
  openat2: 437,
  faccessat2: 439,
  epoll_pwait2: 441,
  landlock_create_ruleset: 444,
  landlock_add_rule: 445,
  landlock_restrict_self: 446,
  memfd_secret: 447,
  process_mrelease: 448,
  futex_waitv: 449,
  cachestat: 451,
  fchmodat2: 452,
  map_shadow_stack: 453,
  futex_wake: 454,
  futex_wait: 455,
  futex_requeue: 456,
  statmount: 457,
  listmount: 458,
  mseal: 462,
  setxattrat: 463,
  getxattrat: 464,
  listxattrat: 465,
  removexattrat: 466,
};

/** The newest system call that the profile has an opinion on. */
const newestNumber = Math.max(...Object.values(sharedNumbers));

/** x86-64 kernels mark calls of the x32 interface with this bit; those are none of ours to number. */
const x32Bit = 0x40000000;
const ENOSYS = 38;

/** Classic BPF. @see Linux, networking/filter.rst and userspace-api/seccomp_filter.rst */
const opcode = {
  loadWord: 0x20,
  jumpIfEqual: 0x15,
  jumpIfGreater: 0x25,
  jumpIfSet: 0x45,
  answer: 0x06,
};

interface Instruction {
  readonly code: number;
  readonly value: number;
  /** How many instructions to skip. */
  readonly ifTrue?: number;
  readonly ifFalse?: number;
}

/**
 * Instructions that go before a compiled filter. They decide the unconditional rules whose names the library did not
 * know (`unknownNames`), and answer ENOSYS to what is newer than the profile: C libraries then use the older call, where
 * EPERM would be taken for the final word. The rest falls through.
 */
export function seccompPrologue(options: {
  readonly rules: readonly SeccompRule[];
  readonly unknownNames: readonly string[];
}): Uint8Array {
  const known = options.rules
    .filter((rule) => rule.conditions === undefined)
    .flatMap((rule) => rule.names.map((name) => ({ name, action: rule.action })))
    .filter(({ name }) => options.unknownNames.includes(name))
    .flatMap(({ name, action }) => decide(sharedNumbers[name], action));
  const newer: readonly Instruction[] = [
    { code: opcode.jumpIfGreater, value: newestNumber, ifFalse: 1 },
    { code: opcode.answer, value: answerOf({ type: "errno", errno: ENOSYS }) },
  ];
  const decisions = [...known, ...newer];
  return encode([
    { code: opcode.loadWord, value: 0 }, // seccomp_data.nr
    { code: opcode.jumpIfSet, value: x32Bit, ifTrue: decisions.length },
    ...decisions,
  ]);
}

function decide(number: number | undefined, action: SeccompAction): readonly Instruction[] {
  if (number === undefined) return [];
  return [
    { code: opcode.jumpIfEqual, value: number, ifFalse: 1 },
    { code: opcode.answer, value: answerOf(action) },
  ];
}

/** `SECCOMP_RET_*` */
function answerOf(action: SeccompAction): number {
  return action.type === "allow" ? 0x7fff0000 : 0x00050000 | action.errno;
}

/** struct sock_filter: 16-bit code, two 8-bit distances, 32-bit value. */
function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [i, { code, value, ifTrue = 0, ifFalse = 0 }] of instructions.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(ifTrue, i * 8 + 2);
    bytes.writeUInt8(ifFalse, i * 8 + 3);
    bytes.writeUInt32LE(value, i * 8 + 4);
  }
  return bytes;
}
