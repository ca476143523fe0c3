import type { Sandbox, SandboxResult, SandboxSpec, SandboxStdio } from "../types.ts";
import { checkSpec } from "./check-spec.ts";
import { readHost } from "./host.ts";
import { planStep } from "./plan-step.ts";
import { StepRunner, throwIfCanceled, type StepRunnerOptions } from "./step-runner.ts";

/**
 * The sandbox that needs nothing but the kernel: every step is a generated program of raw system calls.
 * @throws SANDBOX_UNSUPPORTED
 */
export async function openBuiltinSandbox(options: StepRunnerOptions): Promise<Sandbox> {
  return new BuiltinSandbox(new StepRunner(readHost(), options), options.stateDir);
}

class BuiltinSandbox implements Sandbox {
  readonly kind = "builtin";
  readonly #runner: StepRunner;
  readonly #staging: string;

  constructor(runner: StepRunner, staging: string) {
    this.#runner = runner;
    this.#staging = staging;
  }

  async run(spec: SandboxSpec, stdio: SandboxStdio, signal?: AbortSignal): Promise<SandboxResult> {
    throwIfCanceled(signal);
    checkSpec(spec);
    const { host } = this.#runner;
    const staging = this.#staging;
    return this.#runner.run({
      spec,
      stdio,
      signal,
      isFiltered: spec.security === "sandbox",
      plan: (how) => planStep({ spec, host, staging, ...how }),
    });
  }
}
