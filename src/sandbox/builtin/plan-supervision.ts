import type { Op } from "./ops.ts";

/** Whether stdout and stderr go through pipes of the program, or stay what it was started with. */
export type OutputPlan = "pipes" | "inherit";

/**
 * The two processes between tsbuild and what a step runs. The first one lives outside and waits; killing it, or closing
 * the report socket, which the death of its parent does too, ends the second one, the `supervisor`, which is init of a
 * PID namespace, and with it the kernel ends everything inside.
 *
 * The kernel lets an init be waited for when its namespace is empty, and no sooner: so what the first one keeps open is
 * open until then. This is why it ends after its parent and not with it.
 */
export function planSupervision(options: {
  readonly output: OutputPlan;
  /** How many descriptors after the report socket are kept open to the end. */
  readonly kept: number;
  /** Begins with "die-with-parent" and "await-go". */
  readonly supervisor: readonly Op[];
}): readonly Op[] {
  return [
    { type: "setsid" },
    { type: "close-descriptors", kept: options.kept },
    ...planPipes(options.output),
    { type: "fork", namespaces: ["pid"], pidfd: "supervisor", child: options.supervisor },
    { type: "await-hangup", pidfd: "supervisor" },
    { type: "kill", pidfd: "supervisor" },
    { type: "wait-child", report: false },
    { type: "exit" },
  ];
}

/** Made by the first process, whose ends for reading tsbuild opens. */
export function planPipes(output: OutputPlan): readonly Op[] {
  if (output === "inherit") return [];
  return [
    { type: "pipe", name: "stdout" },
    { type: "pipe", name: "stderr" },
  ];
}

/** The pipes as stdout and stderr, which `uid` may open again as /dev/stdout and /dev/stderr. */
export function planStdio(options: {
  readonly output: OutputPlan;
  readonly uid: number;
}): readonly Op[] {
  const { output, uid } = options;
  if (output === "inherit") return [];
  return [
    { type: "use-as-stdio", from: "stdout write", fd: 1 },
    { type: "use-as-stdio", from: "stderr write", fd: 2 },
    { type: "own-stdio", fd: 1, uid },
    { type: "own-stdio", fd: 2, uid },
  ];
}
