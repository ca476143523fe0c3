import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { coreError, errnoOf, monotonicMs } from "../../core/index.ts";
import { holdsSecrets } from "../builtin/step-runner.ts";
import { checkSpec } from "../builtin/check-spec.ts";
import { encodeProgram } from "../builtin/encode.ts";
import { endOf, type CommandEnd } from "../builtin/command-end.ts";
import type { Host } from "../builtin/host.ts";
import { mountAttribute } from "../builtin/linux.ts";
import { lowerOps } from "../builtin/lower-ops.ts";
import { runProgram } from "../builtin/run-program.ts";
import type { Sandbox, SandboxResult, SandboxSpec, SandboxStdio } from "../types.ts";
import { cgroupFolders, cgroupName, removeCgroup } from "../cgroups/leftovers.ts";
import { readUsage } from "../cgroups/usage.ts";
import type { Runtime } from "./find-runtimes.ts";
import { makeRuntimeConfig, serializeConfig } from "./make-config.ts";
import { planRuntime, stageMounts, type StagedMount } from "./plan-runtime.ts";
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
    const started = monotonicMs();
    const id = await cgroupName(randomBytes(6).toString("hex"));
    const bundle = join(this.#parts.stateDir, id);
    const staged = stageMounts(spec.mounts, privatePathOf(bundle));
    const step = { id, bundle, staged, spec, stdio, signal };
    try {
      const end = await this.#runBundle(step);
      const result = { ...end, durationMs: monotonicMs() - started };
      if (spec.isMeasured !== true) return result;
      return { ...result, usage: readUsage(await cgroupFolders(id, spec.cgroup?.parent)) };
    } finally {
      // Nothing of the container runs any more, so there is nothing to ask the runtime for.
      await Promise.all([
        rm(bundle, { recursive: true, force: true }),
        removeCgroup(id, spec.cgroup?.parent),
      ]);
    }
  }

  async #runBundle(step: Step): Promise<CommandEnd> {
    const { bundle, stdio, signal } = step;
    const { host, runtime } = this.#parts;
    for (const path of [bundle, rootPathOf(bundle), privatePathOf(bundle), stagingOf(bundle)]) {
      await mkdir(path, { mode: 0o700 });
    }
    const head = new OutputHead(stdio);
    const lowered = lowerOps(this.#plan(step));
    const outcome = await runProgram({
      program: encodeProgram(lowered.calls, host.arch),
      lowered,
      place: holdsSecrets(step.spec) ? "memory" : { path: join(bundle, "start") },
      stdio: head.stdio,
      keepOpen: step.spec.keepOpen,
      signal,
    });
    const failure =
      readRuntimeFailure(await readLog(logPath(bundle)), runtime.name) ??
      readStartFailure({ output: head.text, outcome, runtime: runtime.name });
    if (failure !== undefined) throw failure;
    return endOf(outcome);
  }

  /** Neither the configuration nor the runtime's copies of it are seen outside: they may tell secrets. */
  #plan({ id, bundle, staged, spec, stdio }: Step): ReturnType<typeof planRuntime> {
    const { host, runtime } = this.#parts;
    const config = makeRuntimeConfig({
      spec,
      host,
      rootPath: rootPathOf(bundle),
      cgroupsPath: spec.cgroup?.parent === undefined ? id : join(spec.cgroup.parent, id),
      stagedPaths: new Map(staged.map(({ mount, path }) => [mount.target, path])),
    });
    return planRuntime({
      host,
      rootfs: spec.rootfs,
      rootAttributes: spec.security === "insecure" ? 0 : mountAttribute.noDev,
      rootPath: rootPathOf(bundle),
      argv: [
        runtime.path,
        ...["--root", join(privatePathOf(bundle), "state")],
        ...["--log", logPath(bundle), "--log-format", "json"],
        ...["run", "--detach", "--bundle", privatePathOf(bundle), id],
      ],
      output: stdio.output === "inherit" ? "inherit" : "pipes",
      kept: spec.keepOpen?.length ?? 0,
      uid: spec.user.uid,
      privatePath: privatePathOf(bundle),
      staging: stagingOf(bundle),
      config: Buffer.from(serializeConfig(config)),
      mounts: staged,
    });
  }
}

interface Step {
  /** Of the container and of its cgroup. */
  readonly id: string;
  readonly bundle: string;
  readonly staged: readonly StagedMount[];
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

function rootPathOf(bundle: string): string {
  return join(bundle, "rootfs");
}

function privatePathOf(bundle: string): string {
  return join(bundle, "private");
}

function stagingOf(bundle: string): string {
  return join(bundle, "staging");
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
