import { describe } from "vitest";
import { confinementContract } from "./sandbox/confinement.ts";
import { lifetimeContract, type KillPlan } from "./sandbox/lifetime.ts";
import { mountsContract } from "./sandbox/mounts.ts";
import { streamsContract } from "./sandbox/streams.ts";
import { useWorkbench, type OpenSandbox } from "./sandbox/workbench.ts";

export interface SandboxContractOptions {
  readonly kill: KillPlan;
  /** Skips the suite, with this reason. */
  readonly skipReason?: string | undefined;
  /** Tests that cannot hold for this implementation, by a part of their names, and why. Each must skip something. */
  readonly lacks?: readonly (readonly [test: string, reason: string])[];
}

/**
 * What every Sandbox promises; an implementation is done when it passes. Needs root and busybox. After each test it is
 * also proved that no process and no mount of a step is left on the host.
 */
export function sandboxContract(
  name: string,
  open: OpenSandbox,
  options: SandboxContractOptions,
): void {
  describe(`sandbox contract: ${name}`, () => {
    const bench = useWorkbench(open, options);
    confinementContract(bench);
    streamsContract(bench);
    mountsContract(bench);
    lifetimeContract(bench, options.kill);
  });
}
