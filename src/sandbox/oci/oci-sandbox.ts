import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { coreError, errnoOf } from "../../core/index.ts";
import { checkSpec } from "../builtin/check-spec.ts";
import { encodeProgram } from "../builtin/encode.ts";
import { endOf, type CommandEnd } from "../builtin/command-end.ts";
import type { Host } from "../builtin/host.ts";
import { mountAttribute } from "../builtin/linux.ts";
import { lowerOps } from "../builtin/lower-ops.ts";
import { runProgram } from "../builtin/run-program.ts";
import type { Sandbox, SandboxResult, SandboxSpec, SandboxStdio } from "../types.ts";
import { cgroupName, removeCgroup } from "./cgroup-leftovers.ts";
import type { Runtime } from "./find-runtimes.ts";
import { makeRuntimeConfig } from "./make-config.ts";
import { planRuntime, type TmpfsPlan } from "./plan-runtime.ts";
import { readStartFailure, readRuntimeFailure } from "./runtime-log.ts";

export interface OciSandboxParts {
  readonly runtime: Runtime;
  readonly host: Host;
  /** Absolute, without symlinks. */
  readonly stateDir: string;
}

/** Runs every step as a container of an OCI runtime, from a bundle that is made for it and goes with it. */
export class OciSandbox implements Sandbox {
  readonly kind = "oci";
  readonly #parts: OciSandboxParts;

  constructor(parts: OciSandboxParts) {
    this.#parts = parts;
  }

  /** When the command cannot be started, the runtime says so on the step's stderr too. */
  async run(spec: SandboxSpec, stdio: SandboxStdio, signal?: AbortSignal): Promise<SandboxResult> {
    if (signal?.aborted === true) {
      throw coreError("CANCELED", "run a step: canceled", { cause: signal.reason });
    }
    checkSpec(spec);
    const started = performance.now();
    const id = await cgroupName(randomBytes(6).toString("hex"));
    const bundle = join(this.#parts.stateDir, id);
    const step = { id, bundle, tmpfs: planTmpfs(spec, bundle), spec, stdio, signal };
    try {
      const end = await this.#runBundle(step);
      return { ...end, durationMs: performance.now() - started };
    } finally {
      // Nothing of the container runs any more, so there is nothing to ask the runtime for.
      await Promise.all([rm(bundle, { recursive: true, force: true }), removeCgroup(id)]);
    }
  }

  async #runBundle(step: Step): Promise<CommandEnd> {
    const { bundle, stdio, signal } = step;
    const { host, runtime } = this.#parts;
    await this.#writeBundle(step);
    const head = new OutputHead(stdio);
    const lowered = lowerOps(this.#plan(step));
    const outcome = await runProgram({
      program: encodeProgram(lowered.calls, host.arch),
      lowered,
      path: join(bundle, "start"),
      stdio: head.stdio,
      signal,
    });
    const failure =
      readRuntimeFailure(await readLog(logPath(bundle)), runtime.name) ??
      readStartFailure({ output: head.text, outcome, runtime: runtime.name });
    if (failure !== undefined) throw failure;
    return endOf(outcome);
  }

  async #writeBundle({ id, bundle, spec, tmpfs }: Step): Promise<void> {
    const rootPath = rootPathOf(bundle);
    for (const path of [bundle, rootPath, ...[...tmpfs.values()].map(({ path }) => path)]) {
      await mkdir(path, { mode: 0o700 });
    }
    const config = makeRuntimeConfig({
      spec,
      host: this.#parts.host,
      rootPath,
      cgroupsPath: id,
      tmpfsPaths: new Map([...tmpfs].map(([target, { path }]) => [target, path])),
    });
    await writeFile(join(bundle, "config.json"), JSON.stringify(config));
  }

  #plan({ id, bundle, tmpfs, spec, stdio }: Step): ReturnType<typeof planRuntime> {
    const { host, runtime } = this.#parts;
    return planRuntime({
      host,
      rootfs: spec.rootfs,
      rootAttributes: spec.security === "insecure" ? 0 : mountAttribute.noDev,
      rootPath: rootPathOf(bundle),
      argv: [
        runtime.path,
        ...["--root", join(bundle, "state")],
        ...["--log", logPath(bundle), "--log-format", "json"],
        ...["run", "--detach", "--bundle", bundle, id],
      ],
      output: stdio.output === "inherit" ? "inherit" : "pipes",
      uid: spec.user.uid,
      tmpfs: [...tmpfs.values()],
    });
  }
}

interface Step {
  /** Of the container and of its cgroup. */
  readonly id: string;
  readonly bundle: string;
  /** By target. */
  readonly tmpfs: ReadonlyMap<string, TmpfsPlan>;
  readonly spec: SandboxSpec;
  readonly stdio: SandboxStdio;
  readonly signal: AbortSignal | undefined;
}

/** Longer than any line of {@link readStartFailure}. */
const headBytes = 8192;

/** Passes a step's output on and remembers how it began. */
class OutputHead {
  readonly stdio: SandboxStdio;
  text = "";

  constructor(stdio: SandboxStdio) {
    const { output } = stdio;
    if (output === "inherit") {
      this.stdio = stdio;
      return;
    }
    this.stdio = {
      ...stdio,
      output: (stream, bytes) => {
        if (this.text.length < headBytes) this.text += bytes.toString("latin1");
        output(stream, bytes);
      },
    };
  }
}

function planTmpfs({ mounts }: SandboxSpec, bundle: string): ReadonlyMap<string, TmpfsPlan> {
  const plans = new Map<string, TmpfsPlan>();
  for (const [index, mount] of mounts.entries()) {
    if (mount.type !== "tmpfs") continue;
    const { target, sizeBytes: size, mode = 0o1777 } = mount;
    plans.set(target, { path: join(bundle, `tmpfs-${index}`), size, mode });
  }
  return plans;
}

function rootPathOf(bundle: string): string {
  return join(bundle, "rootfs");
}

function logPath(bundle: string): string {
  return join(bundle, "log.json");
}

async function readLog(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "";
    throw error;
  }
}
