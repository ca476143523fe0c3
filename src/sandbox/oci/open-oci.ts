import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isTsbuildError } from "../../core/index.ts";
import { encodeProgram } from "../builtin/encode.ts";
import { readHost, type Host } from "../builtin/host.ts";
import { sandboxError } from "../errors.ts";
import type { Sandbox, SandboxSpec } from "../types.ts";
import { sweepCgroups } from "../cgroups/leftovers.ts";
import { findRuntimes } from "./find-runtimes.ts";
import { OciSandbox } from "./oci-sandbox.ts";

export interface OciSandboxOptions {
  /** Name or absolute path; the first of crun, runc and youki that works here unless given. */
  readonly runtime?: string | undefined;
  /** A directory of this process, on a filesystem that is not mounted noexec; made when missing. */
  readonly stateDir: string;
}

/**
 * The sandbox that drives crun, runc or youki. A runtime that is installed need not work (crun 1.8 refuses hosts with
 * hybrid cgroups), so each is asked to run nothing first, which costs one container's start.
 *
 * @throws SANDBOX_UNAVAILABLE with `details.tried`, SANDBOX_UNSUPPORTED
 */
export async function openOciSandbox(options: OciSandboxOptions): Promise<Sandbox> {
  const host = readHost();
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const stateDir = await realpath(options.stateDir);
  await sweepCgroups();
  const tried: Record<string, string> = {};
  for (const runtime of await findRuntimes(options.runtime)) {
    const sandbox = new OciSandbox({ runtime, host, stateDir });
    const reason = await whyNot(sandbox, { host, stateDir });
    if (reason === undefined) return sandbox;
    tried[runtime.path] = reason;
  }
  throw unavailable(options.runtime, tried);
}

/** Runs a program that ends at once, in a root filesystem of nothing else; why that failed. */
async function whyNot(
  sandbox: Sandbox,
  place: { readonly host: Host; readonly stateDir: string },
): Promise<string | undefined> {
  const root = await mkdtemp(join(place.stateDir, "probe-"));
  await mkdir(join(root, "dev"));
  await writeFile(join(root, "nothing"), exitProgram(place.host));
  await chmod(join(root, "nothing"), 0o755);
  let output = "";
  try {
    const { exitCode } = await sandbox.run(probeSpec(root), {
      stdin: "null",
      output: (_, bytes) => void (output += bytes.toString()),
    });
    return exitCode === 0 ? undefined : `exit code ${exitCode}: ${output.trim()}`;
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    return error.message;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function exitProgram({ arch }: Host): Uint8Array {
  return encodeProgram(
    [{ id: 0, name: "exit_group", args: [0], onError: { type: "ignore" } }],
    arch,
  );
}

function probeSpec(root: string): SandboxSpec {
  return {
    rootfs: { type: "directory", path: root, readOnly: false },
    argv: ["/nothing"],
    env: [],
    cwd: "/",
    user: { uid: 0, gid: 0, groups: [0], home: "/" },
    hostname: "probe",
    network: "host",
    mounts: [],
    security: "sandbox",
  };
}

function unavailable(asked: string | undefined, tried: Readonly<Record<string, string>>): Error {
  const reasons = Object.entries(tried).map(([path, reason]) => `${path}: ${reason}`);
  const none =
    asked === undefined ? "none of crun, runc and youki is on PATH" : `no ${asked} found`;
  return sandboxError(
    "SANDBOX_UNAVAILABLE",
    `open the oci sandbox: ${reasons.length === 0 ? none : reasons.join("; ")}`,
    {
      hint: "install a runtime that works on this machine, or use --isolation=builtin",
      details: { tried },
    },
  );
}
