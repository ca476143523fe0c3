import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { coreError } from "../../core/index.ts";
import type { Sandbox, SandboxResult, SandboxSpec, SandboxStdio } from "../types.ts";
import type { StepCgroup } from "../cgroups/step-cgroup.ts";
import { checkSpec } from "./check-spec.ts";
import { endOf } from "./command-end.ts";
import { encodeProgram } from "./encode.ts";
import type { Host } from "./host.ts";
import { readHost } from "./host.ts";
import { lowerOps } from "./lower-ops.ts";
import { planStep } from "./plan-step.ts";
import { runProgram } from "./run-program.ts";
import { loadSeccompFilter } from "./seccomp-filter.ts";

export interface BuiltinSandboxOptions {
  /** A directory of this process, on a filesystem that is not mounted noexec; made when missing. */
  readonly stateDir: string;
  /** Where compiled filters are kept for later processes; `stateDir` unless given. */
  readonly cacheDir?: string | undefined;
  readonly onWarning?: ((warning: SandboxWarning) => void) | undefined;
}

export interface SandboxWarning {
  readonly code: "SANDBOX_SECCOMP_UNAVAILABLE" | "SANDBOX_LIMIT_IGNORED";
  readonly message: string;
  readonly hint?: string | undefined;
}

/**
 * The sandbox that needs nothing but the kernel: every step is a generated program of raw system calls.
 * @throws SANDBOX_UNSUPPORTED
 */
export async function openBuiltinSandbox(options: BuiltinSandboxOptions): Promise<Sandbox> {
  const host = readHost();
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  return new BuiltinSandbox(host, options);
}

/** Whether the program must not touch a disk. */
export function holdsSecrets({ mounts, secretEnv = [] }: SandboxSpec): boolean {
  return secretEnv.length > 0 || mounts.some(({ type }) => type === "secret");
}

class BuiltinSandbox implements Sandbox {
  readonly kind = "builtin";
  readonly #host: Host;
  readonly #options: BuiltinSandboxOptions;
  readonly #toldLimits = new Set<string>();
  #filter: Promise<Uint8Array | undefined> | undefined;

  constructor(host: Host, options: BuiltinSandboxOptions) {
    this.#host = host;
    this.#options = options;
  }

  async run(spec: SandboxSpec, stdio: SandboxStdio, signal?: AbortSignal): Promise<SandboxResult> {
    if (signal?.aborted === true) {
      throw coreError("CANCELED", "run a step: canceled", { cause: signal.reason });
    }
    checkSpec(spec);
    const filter = spec.security === "sandbox" ? await this.#loadFilter() : undefined;
    const started = performance.now();
    const { stateDir } = this.#options;
    const lowered = lowerOps(
      planStep({
        spec,
        host: this.#host,
        output: stdio.output === "inherit" ? "inherit" : "pipes",
        staging: stateDir,
        filter,
      }),
    );
    const cgroup = await this.#makeCgroup(spec);
    try {
      const outcome = await runProgram({
        program: encodeProgram(lowered.calls, this.#host.arch),
        lowered,
        place: holdsSecrets(spec) ? "memory" : { path: join(stateDir, `step-${randomUUID()}`) },
        stdio,
        keepOpen: spec.keepOpen,
        signal,
        onReady: cgroup?.join,
      });
      return { ...endOf(outcome), durationMs: performance.now() - started };
    } finally {
      await cgroup?.remove();
    }
  }

  /** Most steps have none: they stay where we are. */
  async #makeCgroup({ cgroup: spec }: SandboxSpec): Promise<StepCgroup | undefined> {
    if (spec === undefined) return undefined;
    const { makeStepCgroup } = await import("../cgroups/step-cgroup.ts");
    const cgroup = await makeStepCgroup(spec);
    for (const problem of cgroup.problems) this.#warnOfLimit(problem);
    return cgroup;
  }

  /** Every step has the same limits, so each is told once. */
  #warnOfLimit(problem: string): void {
    // The step's own name in it differs.
    const told = problem.replaceAll(/tsbuild-[\w-]+/g, "…");
    if (this.#toldLimits.has(told)) return;
    this.#toldLimits.add(told);
    this.#options.onWarning?.({
      code: "SANDBOX_LIMIT_IGNORED",
      message: `steps run without a limit that was asked for: ${told}`,
      hint: "the control groups of this machine must be writable and have that controller",
    });
  }

  /** Loaded for the first step that needs it, then kept. */
  async #loadFilter(): Promise<Uint8Array | undefined> {
    this.#filter ??= this.#compileFilter();
    return this.#filter;
  }

  async #compileFilter(): Promise<Uint8Array | undefined> {
    const { stateDir, cacheDir = stateDir, onWarning } = this.#options;
    const filter = await loadSeccompFilter({ host: this.#host, stateDir, cacheDir });
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
