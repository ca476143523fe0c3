import { newLabel, type CodeBuffer, type JumpPatcher, type Label } from "./code-buffer.ts";
import type { Machine } from "./encode-calls.ts";
import { signal } from "./linux.ts";
import type { Argument, Pointer, SyscallName } from "./program.ts";
import { syscallNumbers } from "./syscall-numbers.ts";

/** Register numbers as instructions hold them. */
const register = {
  rax: 0,
  rdx: 2,
  rbx: 3,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r12: 12,
} as const;

/** Where the kernel takes the arguments of a system call from. */
const argumentRegisters = [
  register.rdi,
  register.rsi,
  register.rdx,
  register.r10,
  register.r8,
  register.r9,
];

/** Branches hold a signed 32-bit distance, counted from the end of its four bytes. */
const patchBranch: JumpPatcher = (code, { at, to }) => {
  code.setInt32(at, to - (at + 4), true);
};

/**
 * x86-64. rax holds a system call's number and then its result, rbx the number of the call under way.
 * @see Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2
 */
export class X64Machine implements Machine {
  readonly #code: CodeBuffer;
  readonly #valueOf: (argument: Argument) => number;

  constructor(code: CodeBuffer, valueOf: (argument: Argument) => number) {
    this.#code = code;
    this.#valueOf = valueOf;
  }

  loadCallNumber(id: number): void {
    this.#load(register.rbx, id);
  }

  syscall(name: SyscallName, args: readonly Argument[]): void {
    for (let i = 0; i < args.length; i += 1) {
      const target = argumentRegisters[i];
      if (target === undefined) throw new Error(`${name} has more than six arguments`);
      this.#load(target, args[i] ?? 0);
    }
    this.#load(register.rax, syscallNumbers[name].x64);
    this.#code.emitShort(0x050f, 2); // syscall
  }

  branch(label: Label): void {
    this.#jump(0xe9, 1, label); // jmp
  }

  branchIfZero(label: Label): void {
    this.#code.emit(0x48, 0x85, 0xc0); // test rax, rax
    this.#jump(0x840f, 2, label); // jz
  }

  branchIfError(label: Label): void {
    this.#compareWithLastErrno();
    this.#jump(0x830f, 2, label); // jae
  }

  branchUnlessError(label: Label): void {
    this.#compareWithLastErrno();
    this.#jump(0x820f, 2, label); // jb
  }

  branchIfErrno(errno: number, label: Label): void {
    this.#code.emitWithWord(0x3d, 1, -errno); // cmp eax, imm32
    this.#jump(0x840f, 2, label); // je
  }

  callRoutine(label: Label): void {
    this.#jump(0xe8, 1, label); // call
  }

  returnFromRoutine(): void {
    this.#code.emit(0xc3); // ret
  }

  /** r12 and r13 are the rest of the list, r14 is the number that is being read. System calls leave them alone. */
  killListed(list: Pointer): void {
    const [next, separator, done] = [newLabel(), newLabel(), newLabel()];
    this.#load(register.r12, list);
    this.#code.emit(0x4d, 0x8d, 0x2c, 0x04); // lea r13, [r12+rax]
    this.#code.emit(0x45, 0x31, 0xf6); // xor r14d, r14d
    this.#code.place(next);
    this.#code.emit(0x4d, 0x39, 0xec); // cmp r12, r13
    // An error instead of a length puts the end before the beginning.
    this.#jump(0x830f, 2, done); // jae
    this.#code.emit(0x41, 0x0f, 0xb6, 0x04, 0x24); // movzx eax, byte [r12]
    this.#code.emit(0x49, 0xff, 0xc4); // inc r12
    this.#code.emit(0x83, 0xe8, 0x30); // sub eax, '0'
    this.#code.emit(0x83, 0xf8, 0x09); // cmp eax, 9
    this.#jump(0x870f, 2, separator); // ja
    this.#code.emit(0x45, 0x6b, 0xf6, 0x0a); // imul r14d, r14d, 10
    this.#code.emit(0x41, 0x01, 0xc6); // add r14d, eax
    this.#jump(0xe9, 1, next); // jmp
    this.#code.place(separator);
    this.#code.emit(0x45, 0x85, 0xf6); // test r14d, r14d
    this.#jump(0x840f, 2, next); // jz
    this.#code.emit(0x44, 0x89, 0xf7); // mov edi, r14d
    this.#load(register.rsi, signal.kill);
    this.#load(register.rax, syscallNumbers.kill.x64);
    this.#code.emit(0x0f, 0x05); // syscall
    this.#code.emit(0x45, 0x31, 0xf6); // xor r14d, r14d
    this.#jump(0xe9, 1, next); // jmp
    this.#code.place(done);
  }

  storeReport(record: Pointer): void {
    this.#code.emit(0xf7, 0xd8); // neg eax
    this.#load(register.rsi, record);
    this.#code.emit(0x89, 0x5e, 0x04); // mov [rsi+4], ebx
    this.#code.emit(0x89, 0x46, 0x08); // mov [rsi+8], eax
  }

  /** Shortest move of a constant: xor, mov r32, mov r64 with sign extension, or the ten-byte form. */
  #load(target: number, argument: Argument): void {
    const value = this.#valueOf(argument);
    const low = target & 7;
    const extended = target >= 8;
    if (value === 0) {
      const zero = 0xc031 | (low << 11) | (low << 8);
      if (extended) this.#code.emitShort((zero << 8) | 0x45, 3);
      else this.#code.emitShort(zero, 2);
    } else if (value > 0 && value < 2 ** 32) {
      const move = 0xb8 | low;
      if (extended) this.#code.emitWithWord((move << 8) | 0x41, 2, value);
      else this.#code.emitWithWord(move, 1, value);
    } else if (value < 0 && value >= -(2 ** 31)) {
      this.#code.emitWithWord(((0xc0 | low) << 16) | 0xc700 | (extended ? 0x49 : 0x48), 3, value);
    } else {
      this.#code.emit(extended ? 0x49 : 0x48, 0xb8 | low);
      this.#code.emitWord(value);
      this.#code.emitWord(Math.floor(value / 2 ** 32));
    }
  }

  #compareWithLastErrno(): void {
    this.#code.emitWithWord(0x3d48, 2, -4095); // cmp rax, imm32
  }

  /** An opcode of one or two bytes, the first one lowest. */
  #jump(opcode: number, size: number, label: Label): void {
    this.#code.emitShort(opcode, size);
    this.#code.jump(label, patchBranch);
    this.#code.emitWord(0);
  }
}
