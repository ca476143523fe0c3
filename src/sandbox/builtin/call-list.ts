import type { Argument, Call, OnError, SyscallName } from "./program.ts";
import { reportFd } from "./program.ts";
import type { Op } from "./ops.ts";

/** What a call belongs to: by it a report's call number becomes an error message. */
export interface CallOrigin {
  readonly op: Op;
  readonly syscall: SyscallName;
}

/**
 * The calls of one process of a step program, in the making. Descriptor numbers are predicted: the kernel always gives
 * out the lowest free one, every process starts from a known set, and nothing runs beside the program.
 */
export class CallList {
  readonly calls: Call[] = [];
  readonly #origins: CallOrigin[];
  readonly #open: Set<number>;
  readonly #names: Map<string, number>;
  #op: Op | undefined;

  private constructor(start: {
    origins: CallOrigin[];
    open: Set<number>;
    names: Map<string, number>;
  }) {
    this.#origins = start.origins;
    this.#open = start.open;
    this.#names = start.names;
  }

  /** A list for the first process. `origins` receives what every call belongs to, also those of its children. */
  static first(origins: CallOrigin[]): CallList {
    return new CallList({ origins, open: new Set([0, 1, 2, reportFd]), names: new Map() });
  }

  /** A list for a child forked now. */
  forChild(): CallList {
    return new CallList({
      origins: this.#origins,
      open: new Set(this.#open),
      names: new Map(this.#names),
    });
  }

  /** The following calls belong to `op`. */
  begin(op: Op): void {
    this.#op = op;
  }

  add(
    name: SyscallName,
    args: readonly Argument[],
    rest: { onError?: OnError; exitOnZero?: boolean; child?: readonly Call[] } = {},
  ): void {
    const op = this.#op;
    if (op === undefined) throw new Error(`system call ${name} without an op`);
    const id = this.#origins.length;
    this.#origins.push({ op, syscall: name });
    this.calls.push({ id, name, args, onError: { type: "fail" }, ...rest });
  }

  /** A call that answers a new descriptor: its number. */
  open(name: SyscallName, args: readonly Argument[]): number {
    this.add(name, args);
    return this.claim();
  }

  /** The number of the descriptor that the kernel has just given out. */
  claim(): number {
    let fd = 0;
    while (this.#open.has(fd)) fd += 1;
    this.#open.add(fd);
    return fd;
  }

  close(fd: number): void {
    this.add("close", [fd]);
    this.#open.delete(fd);
  }

  /** All but stdio and the report socket are closed. */
  forgetDescriptors(): void {
    for (const fd of this.#open) if (fd > reportFd) this.#open.delete(fd);
    this.#names.clear();
  }

  hold(name: string, fd: number): void {
    this.#names.set(name, fd);
  }

  get descriptors(): ReadonlyMap<string, number> {
    return this.#names;
  }

  held(name: string): number {
    const fd = this.#names.get(name);
    if (fd === undefined) throw new Error(`no descriptor is held as ${name}`);
    return fd;
  }
}
