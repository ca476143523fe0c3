import type { Argument, Call, SyscallName } from "./program.ts";
import { reportFd } from "./program.ts";
import type { Op } from "./ops.ts";

/** What a call belongs to: by it a report's call number becomes an error message. */
export interface CallOrigin {
  readonly op: Op;
  readonly syscall: SyscallName;
}

const failing = { type: "fail" } as const;

/**
 * The calls of one process of a step program, in the making. Descriptor numbers are predicted: the kernel gives out the
 * lowest free one, every process starts from a known set, nothing runs beside the program, and no descriptor is closed
 * but all of them at once: so they are counted.
 */
export class CallList {
  readonly calls: Call[] = [];
  readonly #origins: CallOrigin[];
  #nextFd: number;
  readonly #names: Map<string, number>;
  #op: Op | undefined;

  private constructor(start: {
    origins: CallOrigin[];
    nextFd: number;
    names: Map<string, number>;
  }) {
    this.#origins = start.origins;
    this.#nextFd = start.nextFd;
    this.#names = start.names;
  }

  /** A list for the first process. `origins` receives what every call belongs to, also those of its children. */
  static first(origins: CallOrigin[]): CallList {
    return new CallList({ origins, nextFd: reportFd + 1, names: new Map() });
  }

  /** A list for a child forked now. */
  forChild(): CallList {
    return new CallList({
      origins: this.#origins,
      nextFd: this.#nextFd,
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
    rest?: Partial<Pick<Call, "onError" | "exitOnZero" | "child" | "loop">>,
  ): void {
    const op = this.#op;
    if (op === undefined) throw new Error(`system call ${name} without an op`);
    const id = this.#origins.length;
    this.#origins.push({ op, syscall: name });
    this.calls.push(
      rest === undefined
        ? { id, name, args, onError: failing }
        : { id, name, args, onError: failing, ...rest },
    );
  }

  /** Calls that are repeated as a part of another one; descriptors that they open they also close. */
  repeated(fill: (list: CallList) => void): readonly Call[] {
    const list = this.forChild();
    list.#op = this.#op;
    fill(list);
    return list.calls;
  }

  /** A call that answers a new descriptor: its number. */
  open(name: SyscallName, args: readonly Argument[]): number {
    this.add(name, args);
    return this.claim();
  }

  /** The number of the descriptor that the kernel has just given out. */
  claim(): number {
    this.#nextFd += 1;
    return this.#nextFd - 1;
  }

  /** All but stdio, the report socket and the `kept` ones that come next are closed. */
  forgetDescriptors(kept: number): void {
    this.#nextFd = reportFd + 1 + kept;
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
