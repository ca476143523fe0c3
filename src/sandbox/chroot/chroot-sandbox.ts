import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { coreError, createLimiter, loadSyscalls, type Syscalls } from "../../core/index.ts";
import { capabilityMask } from "../builtin/capabilities.ts";
import { checkSpec } from "../builtin/check-spec.ts";
import { readHost, type Host } from "../builtin/host.ts";
import { StepRunner, throwIfCanceled, type StepRunnerOptions } from "../builtin/step-runner.ts";
import { sandboxError } from "../errors.ts";
import type { Sandbox, SandboxResult, SandboxSpec, SandboxStdio } from "../types.ts";
import { BorrowedTree } from "./borrowed-tree.ts";
import { placeMounts, unsupported } from "./place-mounts.ts";
import { planChrootStep } from "./plan-chroot-step.ts";
import { checkDevicePlace } from "./probe-devices.ts";

/**
 * The sandbox for processes that may neither mount nor make namespaces, as in a container with Docker's default
 * privileges: a step is confined to its tree by chroot(2), and sees in it what would otherwise be mounted.
 * @throws SANDBOX_UNSUPPORTED
 */
export async function openChrootSandbox(options: StepRunnerOptions): Promise<Sandbox> {
  const runner = new StepRunner(readHost("chroot"), options);
  const kernel = await loadSyscalls();
  await checkDevicePlace(kernel, options.stateDir);
  return new ChrootSandbox({ runner, kernel, stateDir: options.stateDir });
}

class ChrootSandbox implements Sandbox {
  readonly kind = "chroot";
  readonly #runner: StepRunner;
  readonly #kernel: Syscalls;
  readonly #stateDir: string;
  /** Steps on one tree follow each other: what one borrows, the other would take for the tree's own. */
  readonly #turns = new Map<string, ReturnType<typeof createLimiter>>();

  constructor(parts: { runner: StepRunner; kernel: Syscalls; stateDir: string }) {
    this.#runner = parts.runner;
    this.#kernel = parts.kernel;
    this.#stateDir = parts.stateDir;
  }

  async run(spec: SandboxSpec, stdio: SandboxStdio, signal?: AbortSignal): Promise<SandboxResult> {
    throwIfCanceled(signal);
    checkSpec(spec);
    const { path } = completeTree(spec);
    const turns = this.#turns.get(path) ?? createLimiter(1);
    this.#turns.set(path, turns);
    return turns(async () => this.#runOn(path, { spec, stdio, signal }));
  }

  async #runOn(
    root: string,
    step: {
      readonly spec: SandboxSpec;
      readonly stdio: SandboxStdio;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<SandboxResult> {
    const { spec, stdio, signal } = step;
    const { host } = this.#runner;
    throwIfCanceled(signal);
    if (spec.network === "none" && !has(host, "CAP_SYS_ADMIN")) {
      throw unsupported("run a step without network", "a network of its own needs CAP_SYS_ADMIN");
    }
    const tree = new BorrowedTree({
      kernel: this.#kernel,
      root,
      aside: join(this.#stateDir, `aside-${randomUUID()}`),
    });
    try {
      await this.#place(spec, tree, signal);
      const secretFiles = tree.secretFiles();
      return await this.#runner.run({
        spec,
        stdio,
        signal,
        // A filter without no_new_privs, which would disable setuid programs, needs the capability.
        isFiltered: spec.security === "sandbox" && has(host, "CAP_SYS_ADMIN"),
        plan: (how) => planChrootStep({ spec, host, root, secretFiles, ...how }),
      });
    } finally {
      await tree.giveBack();
    }
  }

  async #place(
    spec: SandboxSpec,
    tree: BorrowedTree,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const onLoss = (what: string): void => {
      this.#runner.warnOfLimit(what, "in a chroot there are no mounts; see tsbuild doctor");
    };
    try {
      await placeMounts({ spec, tree, kernel: this.#kernel, onLoss, signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      throw coreError("CANCELED", "run a step: canceled", { cause: signal.reason });
    }
  }
}

function has(host: Host, capability: "CAP_SYS_ADMIN"): boolean {
  return (host.capabilities & capabilityMask([capability])) !== 0n;
}

/** @throws SANDBOX_UNSUPPORTED */
function completeTree({ rootfs, readOnlyRootfs }: SandboxSpec): { readonly path: string } {
  if (rootfs.type !== "directory") {
    throw sandboxError("SANDBOX_UNSUPPORTED", "run a step on layers that need a mount", {
      hint: "say --isolation chroot, so that each state is kept as a complete tree",
    });
  }
  if (readOnlyRootfs === true || rootfs.readOnly) {
    throw unsupported("run a step on a read-only root", "let it write to its root");
  }
  return rootfs;
}
