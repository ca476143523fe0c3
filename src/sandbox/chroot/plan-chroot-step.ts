import type { Host } from "../builtin/host.ts";
import type { Op } from "../builtin/ops.ts";
import { planExec } from "../builtin/plan-step.ts";
import { planPipes, planStdio, type OutputPlan } from "../builtin/plan-supervision.ts";
import type { SandboxSpec } from "../types.ts";

export interface ChrootStepOptions {
  readonly spec: SandboxSpec;
  readonly host: Host;
  readonly output: OutputPlan;
  /** The tree, with everything that the step is to see in it. */
  readonly root: string;
  readonly filter: Uint8Array | undefined;
  /** Files that must not stay, whoever dies when. */
  readonly secretFiles: readonly string[];
}

/**
 * Without a PID namespace nothing in the kernel ends a step as a whole. Two processes see to it: both adopt the orphans
 * below them, so that a daemon which left its session and its parent becomes the child of one of them; and both kill
 * until they have no children left, when the command has ended or tsbuild has hung up. The first one ends what the
 * second has started should somebody kill that one, and the other way round.
 */
export function planChrootStep(options: ChrootStepOptions): readonly Op[] {
  return [
    { type: "setsid" },
    { type: "close-descriptors", kept: options.spec.keepOpen?.length ?? 0 },
    ...planPipes(options.output),
    ...options.secretFiles.map((path, index): Op => ({
      type: "hold-file",
      path,
      as: secret(index),
    })),
    { type: "adopt-orphans" },
    { type: "fork", namespaces: [], pidfd: "supervisor", child: planSupervisor(options) },
    { type: "await-hangup", pidfd: "supervisor" },
    { type: "end-children" },
    // Not removed: that would change the time of its directory, which may be the image's own.
    ...options.secretFiles.map((_path, index): Op => ({ type: "empty-file", held: secret(index) })),
    { type: "exit" },
  ];
}

function secret(index: number): string {
  return `secret ${String(index)}`;
}

function planSupervisor(options: ChrootStepOptions): readonly Op[] {
  const isAlone = options.spec.network === "none";
  return [
    { type: "adopt-orphans" },
    { type: "await-go" },
    {
      type: "fork",
      namespaces: isAlone ? ["net"] : [],
      pidfd: "command",
      child: planCommand(options),
    },
    { type: "await-hangup", pidfd: "command" },
    { type: "kill", pidfd: "command" },
    { type: "conclude", pidfd: "command" },
    { type: "exit" },
  ];
}

function planCommand(options: ChrootStepOptions): readonly Op[] {
  const { spec, output, root } = options;
  return [
    ...planStdio({ output, uid: spec.user.uid }),
    { type: "setsid" },
    { type: "join-new-keyring" },
    { type: "umask", mask: 0o022 },
    ...(spec.network === "none" ? [{ type: "loopback-up" } as const] : []),
    { type: "change-root", path: root },
    // What was opened before would be a way out.
    { type: "close-descriptors", kept: 0 },
    { type: "chdir", path: spec.cwd },
    ...planExec(options),
  ];
}
