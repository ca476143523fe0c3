import { unreachable } from "../../core/index.ts";
import { CodeBuffer, newLabel } from "./code-buffer.ts";
import type { Label } from "./code-buffer.ts";
import { reportFd, reportSize } from "./program.ts";
import type { Argument, Call, KillLoop, OnError, Pointer, SyscallName } from "./program.ts";

/**
 * What a step program needs of an architecture. "The result" is what the last system call answered; the call number
 * sits in a register that system calls leave alone.
 */
export interface Machine {
  loadCallNumber(id: number): void;
  syscall(name: SyscallName, args: readonly Argument[]): void;
  branch(label: Label): void;
  branchIfZero(label: Label): void;
  /** Branches when the result is in [-4095, -1]. */
  branchIfError(label: Label): void;
  branchUnlessError(label: Label): void;
  branchIfErrno(errno: number, label: Label): void;
  callRoutine(label: Label): void;
  returnFromRoutine(): void;
  /** Sends SIGKILL to the processes listed at `list`, decimal and each followed by a space; the result is the length. */
  killListed(list: Pointer): void;
  /** Stores the call number and the errno of the result into the second and third word at `record`. */
  storeReport(record: Pointer): void;
}

/** Where failures and notes are put together; their tags are filled in. */
export interface ReportRecords {
  readonly failed: Pointer;
  readonly noted: Pointer;
}

/** Machine code of `calls`, entered at its first byte and independent of where it lies. */
export function encodeCalls(options: {
  readonly calls: readonly Call[];
  readonly records: ReportRecords;
  readonly machine: (code: CodeBuffer) => Machine;
}): Uint8Array {
  const code = new CodeBuffer();
  const machine = options.machine(code);
  const routines = { fail: newLabel(), note: newLabel(), quit: newLabel() };

  const encodeProcess = (calls: readonly Call[]): void => {
    const children = [];
    for (const call of calls) {
      const child = encodeCall(call);
      if (child !== undefined) children.push(child);
    }
    for (const child of children) {
      code.place(child.label);
      encodeProcess(child.calls);
    }
  };
  encodeProcess(options.calls);

  code.place(routines.fail);
  encodeReport(machine, options.records.failed);
  machine.syscall("exit_group", [1]);
  code.place(routines.quit);
  machine.syscall("exit_group", [0]);
  code.place(routines.note);
  encodeReport(machine, options.records.noted);
  machine.returnFromRoutine();
  return code.finish();

  function encodeCall(call: Call): { label: Label; calls: readonly Call[] } | undefined {
    const again = call.loop && encodeRound(call.loop);
    machine.loadCallNumber(call.id);
    machine.syscall(call.name, call.args);
    if (again !== undefined) machine.branchUnlessError(again);
    encodeErrorCheck(call.onError);
    if (call.exitOnZero === true) machine.branchIfZero(routines.quit);
    if (call.child === undefined) return undefined;
    const label = newLabel();
    machine.branchIfZero(label);
    return { label, calls: call.child };
  }

  function encodeRound({ before, list }: KillLoop): Label {
    const again = newLabel();
    code.place(again);
    for (const call of before) encodeCall(call);
    machine.killListed(list);
    return again;
  }

  function encodeErrorCheck(onError: OnError): void {
    switch (onError.type) {
      case "ignore":
        return;
      case "fail":
        machine.branchIfError(routines.fail);
        return;
      case "note":
      case "tolerate": {
        const tolerated = newLabel();
        const done = newLabel();
        machine.branchUnlessError(done);
        for (const errno of onError.errnos) machine.branchIfErrno(errno, tolerated);
        machine.branch(routines.fail);
        code.place(tolerated);
        if (onError.type === "note") machine.callRoutine(routines.note);
        code.place(done);
        return;
      }
      default:
        unreachable(onError);
    }
  }
}

function encodeReport(machine: Machine, record: Pointer): void {
  machine.storeReport(record);
  machine.syscall("write", [reportFd, record, reportSize]);
}
