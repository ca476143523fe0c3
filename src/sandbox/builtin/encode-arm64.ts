import { newLabel, type CodeBuffer, type JumpPatcher, type Label } from "./code-buffer.ts";
import type { Machine } from "./encode-calls.ts";
import { signal } from "./linux.ts";
import type { Argument, Pointer, SyscallName } from "./program.ts";
import { syscallNumbers } from "./syscall-numbers.ts";

/** Register of a system call's number; x0 … x5 are its arguments, x0 its result. */
const numberRegister = 8;
/** x19 holds the number of the call under way. */
const callRegister = 19;

const condition = { equal: 0, carrySet: 2, carryClear: 3, higher: 8 } as const;

/** B and BL: signed 26-bit distance in words. */
const patchBranch: JumpPatcher = (code, { at, to }) => {
  patchWord(code, { at, bits: ((to - at) >> 2) & 0x3ffffff });
};

/** B.cond and CBZ: signed 19-bit distance in words, from bit 5 on; reaches 1 MiB. */
const patchConditional: JumpPatcher = (code, { at, to }) => {
  patchWord(code, { at, bits: (((to - at) >> 2) & 0x7ffff) << 5 });
};

function patchWord(code: DataView, { at, bits }: { at: number; bits: number }): void {
  code.setUint32(at, (code.getUint32(at, true) | bits) >>> 0, true);
}

/**
 * arm64 (little-endian).
 * @see Arm Architecture Reference Manual for A-profile, C6 "A64 base instruction descriptions"
 */
export class Arm64Machine implements Machine {
  readonly #code: CodeBuffer;
  readonly #valueOf: (argument: Argument) => number;

  constructor(code: CodeBuffer, valueOf: (argument: Argument) => number) {
    this.#code = code;
    this.#valueOf = valueOf;
  }

  loadCallNumber(id: number): void {
    this.#load(callRegister, id);
  }

  syscall(name: SyscallName, args: readonly Argument[]): void {
    if (args.length > 6) throw new Error(`${name} has more than six arguments`);
    for (const [i, argument] of args.entries()) this.#load(i, argument);
    this.#load(numberRegister, syscallNumbers[name].arm64);
    this.#code.emitWord(0xd4000001); // svc #0
  }

  branch(label: Label): void {
    this.#code.jump(label, patchBranch);
    this.#code.emitWord(0x14000000); // b
  }

  branchIfZero(label: Label): void {
    this.#code.jump(label, patchConditional);
    this.#code.emitWord(0xb4000000); // cbz x0
  }

  branchIfError(label: Label): void {
    this.#addToResult(4095);
    this.#branchOn(condition.carrySet, label);
  }

  branchUnlessError(label: Label): void {
    this.#addToResult(4095);
    this.#branchOn(condition.carryClear, label);
  }

  branchIfErrno(errno: number, label: Label): void {
    this.#addToResult(errno);
    this.#branchOn(condition.equal, label);
  }

  callRoutine(label: Label): void {
    this.#code.jump(label, patchBranch);
    this.#code.emitWord(0x94000000); // bl
  }

  returnFromRoutine(): void {
    this.#code.emitWord(0xd65f03c0); // ret
  }

  /** x20 and x21 are the rest of the list, x22 is the number that is being read. System calls leave them alone. */
  killListed(list: Pointer): void {
    const [next, separator, done] = [newLabel(), newLabel(), newLabel()];
    this.#load(20, list);
    this.#code.emitWord(0x8b000295); // add x21, x20, x0
    this.#load(22, 0);
    this.#code.place(next);
    this.#code.emitWord(0xeb15029f); // cmp x20, x21
    // An error instead of a length puts the end before the beginning.
    this.#branchOn(condition.carrySet, done);
    this.#code.emitWord(0x38401680); // ldrb w0, [x20], #1
    this.#code.emitWord(0x5100c000); // sub w0, w0, #'0'
    this.#code.emitWord(0x7100241f); // cmp w0, #9
    this.#branchOn(condition.higher, separator);
    this.#load(1, 10);
    this.#code.emitWord(0x1b0102d6); // madd w22, w22, w1, w0
    this.branch(next);
    this.#code.place(separator);
    this.#code.jump(next, patchConditional);
    this.#code.emitWord(0xb4000016); // cbz x22
    this.#code.emitWord(0xaa1603e0); // mov x0, x22
    this.#load(1, signal.kill);
    this.#load(numberRegister, syscallNumbers.kill.arm64);
    this.#code.emitWord(0xd4000001); // svc #0
    this.#load(22, 0);
    this.branch(next);
    this.#code.place(done);
  }

  storeReport(record: Pointer): void {
    this.#code.emitWord(0x4b0003e0); // neg w0, w0
    this.#load(1, record);
    this.#code.emitWord(0xb9000420 | callRegister); // str w19, [x1, #4]
    this.#code.emitWord(0xb9000820); // str w0, [x1, #8]
  }

  /** A constant in pieces of 16 bits: movz or movn for the first, movk for each other that is not mere filling. */
  #load(target: number, argument: Argument): void {
    const value = this.#valueOf(argument);
    const isNegative = value < 0;
    const filling = isNegative ? 0xffff : 0;
    const high = Math.floor(value / 2 ** 32);
    const pieces = [value, value >> 16, high, high >> 16].map((piece) => piece & 0xffff);
    const first = Math.max(
      0,
      pieces.findIndex((piece) => piece !== filling),
    );
    for (const [i, piece] of pieces.entries()) {
      if (i === first) {
        const [opcode, immediate] = isNegative
          ? [0x92800000, ~piece & 0xffff] // movn
          : [0xd2800000, piece]; // movz
        this.#code.emitWord(opcode | (i << 21) | (immediate << 5) | target);
      } else if (piece !== filling) {
        this.#code.emitWord(0xf2800000 | (i << 21) | (piece << 5) | target); // movk
      }
    }
  }

  /** Sets the flags of x0 + `value`: equal when x0 is -value, carry when x0 is in [-value, -1]. */
  #addToResult(value: number): void {
    this.#code.emitWord(0xb100001f | (value << 10)); // cmn x0, #value
  }

  #branchOn(when: number, label: Label): void {
    this.#code.jump(label, patchConditional);
    this.#code.emitWord(0x54000000 | when); // b.cond
  }
}
