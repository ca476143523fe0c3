import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { coreError, monotonicMs } from "../../core/index.ts";
import type { StepCgroup } from "../cgroups/step-cgroup.ts";
import type { SandboxResult, SandboxSpec, SandboxStdio } from "../types.ts";
import { endOf } from "./command-end.ts";
import { encodeProgram } from "./encode.ts";
import type { Host } from "./host.ts";
import { lowerOps } from "./lower-ops.ts";
import type { Op } from "./ops.ts";
import type { OutputPlan } from "./plan-supervision.ts";
import { runProgram } from "./run-program.ts";
import { loadSeccompFilter } from "./seccomp-filter.ts";

export interface StepRunnerOptions {
  /** A directory of this process, on a filesystem that is not mounted noexec; made when missing. */
  readonly stateDir: string;
  /** Where compiled filters are kept for later processes; `stateDir` unless given. */
  readonly cacheDir?: string | undefined;
  readonly onWarning?: ((warning: SandboxWarning) => void) | undefined;
}

export interface SandboxWarning {
  readonly code: "SANDBOX_SECCOMP_UNAVAILABLE" | "SANDBOX_LIMIT_IGNORED" | "SANDBOX_WEAKER";
  readonly message: string;
  readonly hint?: string | undefined;
}

/** One step to run. */
export interface StepRun {
  readonly spec: SandboxSpec;
  readonly stdio: SandboxStdio;
  readonly signal: AbortSignal | undefined;
  /** Whether system calls are to be filtered where that is possible. */
  readonly isFiltered: boolean;
  readonly plan: (how: {
    readonly output: OutputPlan;
    readonly filter: Uint8Array | undefined;
  }) => readonly Op[];
}

/** @throws CANCELED when the signal is aborted already */
export function throwIfCanceled(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw coreError("CANCELED", "run a step: canceled", { cause: signal.reason });
}

/** Whether the program must not touch a disk. */
export function holdsSecrets({ mounts, secretEnv = [] }: SandboxSpec): boolean {
  return secretEnv.length > 0 || mounts.some(({ type }) => type === "secret");
}

/** Makes step programs of plans and runs them: what all sandboxes without a runtime of others share. */
export class StepRunner {
  readonly host: Host;
  readonly #options: StepRunnerOptions;
  readonly #toldLimits = new Set<string>();
  #filter: Promise<Uint8Array | undefined> | undefined;

  constructor(host: Host, options: StepRunnerOptions) {
    this.host = host;
    this.#options = options;
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  }

  async run({ spec, stdio, signal, isFiltered, plan }: StepRun): Promise<SandboxResult> {
    const filter = isFiltered ? await this.#loadFilter() : undefined;
    const started = monotonicMs();
    const { stateDir } = this.#options;
    const output = stdio.output === "inherit" ? "inherit" : "pipes";
    const lowered = lowerOps(plan({ output, filter }));
    const cgroup = await this.#makeCgroup(spec);
    try {
      const outcome = await runProgram({
        program: encodeProgram(lowered.calls, this.host.arch),
        lowered,
        place: holdsSecrets(spec) ? "memory" : { path: join(stateDir, `step-${randomUUID()}`) },
        stdio,
        keepOpen: spec.keepOpen,
        signal,
        onReady: cgroup?.join,
      });
      const usage = spec.isMeasured === true ? cgroup?.usage() : undefined;
      const end = { ...endOf(outcome), durationMs: monotonicMs() - started };
      return usage === undefined ? end : { ...end, usage };
    } finally {
      await cgroup?.remove();
    }
  }

  /** Every step has the same limits, so each is told once. */
  warnOfLimit(problem: string, hint: string): void {
    // The step's own name in it differs.
    const told = problem.replaceAll(/tsbuild-[\w-]+/g, "…");
    if (this.#toldLimits.has(told)) return;
    this.#toldLimits.add(told);
    this.#options.onWarning?.({
      code: "SANDBOX_LIMIT_IGNORED",
      message: `steps run without a limit that was asked for: ${told}`,
      hint,
    });
  }

  /** Most steps have none: they stay where we are. */
  async #makeCgroup({ cgroup: spec, isMeasured }: SandboxSpec): Promise<StepCgroup | undefined> {
    if (spec === undefined && isMeasured !== true) return undefined;
    const { makeStepCgroup } = await import("../cgroups/step-cgroup.ts");
    const cgroup = await makeStepCgroup(spec ?? {}, { isMeasured });
    for (const problem of cgroup.problems) {
      this.warnOfLimit(
        problem,
        "the control groups of this machine must be writable and have that controller",
      );
    }
    return cgroup;
  }

  /** Loaded for the first step that needs it, then kept. */
  async #loadFilter(): Promise<Uint8Array | undefined> {
    this.#filter ??= this.#compileFilter();
    return this.#filter;
  }

  async #compileFilter(): Promise<Uint8Array | undefined> {
    const { stateDir, cacheDir = stateDir, onWarning } = this.#options;
    const filter = loadSeccompFilter({ host: this.host, stateDir, cacheDir });
    if (filter === undefined) {
      onWarning?.({
        code: "SANDBOX_SECCOMP_UNAVAILABLE",
        message: "system calls of steps are not filtered: libseccomp.so.2 cannot be loaded",
        hint: "install libseccomp (Debian package libseccomp2)",
      });
    }
    return filter;
  }
}
