import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { getSystemErrorName } from "node:util";
import { describeOp } from "./describe-op.ts";
import { encodeProgram, isMachineArch } from "./encode.ts";
import { mountAttribute } from "./linux.ts";
import { lowerOps } from "./lower-ops.ts";
import type { Op } from "./ops.ts";
import { planSupervision } from "./plan-supervision.ts";
import { runProgram } from "./run-program.ts";

/** A system call that the kernel refused. */
export interface RefusedCall {
  /** For people, such as "mount tmpfs on /x". */
  readonly what: string;
  readonly syscall: string;
  readonly errno: string;
}

/**
 * Does what every step with namespaces does first, and nothing else: makes them and mounts something. What the kernel
 * said when it refused; undefined when it works, whatever capabilities and profiles promise.
 */
export async function probeNamespaces(stateDir: string): Promise<RefusedCall | undefined> {
  const { arch } = process;
  if (!isMachineArch(arch))
    return { what: `use architecture ${arch}`, syscall: "", errno: "ENOSYS" };
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const lowered = lowerOps(planProbe(stateDir));
  const outcome = await runProgram({
    program: encodeProgram(lowered.calls, arch),
    lowered,
    place: { path: join(stateDir, `probe-${randomUUID()}`) },
    stdio: { stdin: "null", output: "inherit" },
  });
  switch (outcome.type) {
    case "ended":
      return undefined;
    case "lost":
      return { what: "wait for a probe", syscall: "wait4", errno: "ECHILD" };
    case "failed": {
      const { origin, errno } = outcome.failure;
      const { op, syscall } = origin;
      return { what: describeOp(op), syscall, errno: getSystemErrorName(-errno) };
    }
  }
}

function planProbe(place: string): readonly Op[] {
  const child: readonly Op[] = [
    { type: "make-mounts-private" },
    {
      type: "mount",
      filesystem: "tmpfs",
      options: [],
      attributes: mountAttribute.noDev,
      target: place,
      follow: true,
    },
    { type: "exit" },
  ];
  const supervisor: readonly Op[] = [
    { type: "die-with-parent" },
    { type: "await-go" },
    { type: "fork", namespaces: ["pid", "mount", "uts", "ipc"], child },
    { type: "wait-child", report: true },
    { type: "exit" },
  ];
  return planSupervision({ output: "inherit", kept: 0, supervisor });
}
