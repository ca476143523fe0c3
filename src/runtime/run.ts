import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { basename, join } from "node:path";
import type { ChainId, Clock, Digest } from "../core/index.ts";
import { makeFolder, removeTree } from "../core/index.ts";
import type { ExecConfig } from "../image/index.ts";
import { toRootPath } from "../layer/index.ts";
import {
  isFileMount,
  resolveUser,
  writeNetworkFiles,
  type NetworkMode,
  type RunningCommand,
  type Sandbox,
  type SandboxMount,
  type SandboxResult,
} from "../sandbox/index.ts";
import {
  makeDirectories,
  openTreeWriter,
  prepareMountPoints,
  type ActiveSnapshot,
  type Snapshotter,
} from "../snapshot/index.ts";
import { removeContainer, writeContainer, type Container } from "./containers.ts";
import { explainNotFound } from "./not-found.ts";
import { describeProcess, type ProcessOptions, type ProcessSpec } from "./process.ts";
import { openVolume, parseVolume } from "./volumes.ts";

export interface RunRequest {
  readonly image: {
    readonly id: Digest;
    /** As the caller named it. */
    readonly name: string;
    readonly chainId: ChainId | undefined;
    readonly config: ExecConfig;
  };
  readonly process: ProcessOptions;
  /** `SRC:DST[:ro]`. */
  readonly volumes: readonly string[];
  readonly network: NetworkMode;
  /** The container's short ID by default. */
  readonly hostname?: string | undefined;
  /** Drop the container when it ends. */
  readonly remove: boolean;
  /** Hand our standard input to the process. */
  readonly interactive: boolean;
  readonly callerEnv: Readonly<Record<string, string | undefined>>;
  /** Called when the process is being started. */
  readonly onStart?: ((command: RunningCommand) => void) | undefined;
}

export interface RunEnvironment {
  /** The folder of all containers. */
  readonly containers: string;
  /** This process' own folder in the store's `tmp/`; as long as it is there, containers of ours count as running. */
  readonly tmpDir: string;
  readonly snapshots: Snapshotter;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface RunResult {
  readonly containerId: string;
  /** Of the process; 128 + n when signal n ended it. */
  readonly exitCode: number;
}

/** A container that is being made. */
interface Draft {
  readonly id: string;
  readonly active: ActiveSnapshot;
  readonly scratch: string;
  readonly process: ProcessSpec;
  readonly volumes: readonly SandboxMount[];
}

/**
 * Creates a container from an image, runs its process in the foreground on our own standard streams, and waits for it.
 * Without `remove` the container stays with its files, ended, until it is removed.
 *
 * @throws RUNTIME_*, SANDBOX_* when the process could not be started
 */
export async function run(request: RunRequest, environment: RunEnvironment): Promise<RunResult> {
  const process = describeProcess({
    config: request.image.config,
    options: request.process,
    callerEnv: request.callerEnv,
  });
  const volumes = await Promise.all(request.volumes.map(parseVolume).map(openVolume));
  const id = randomBytes(32).toString("hex");
  const directory = join(environment.containers, id);
  const scratch = join(environment.tmpDir, `container-${id.slice(0, 12)}`);
  makeFolder(scratch);
  const active = await environment.snapshots.prepare(
    request.image.chainId,
    request.remove ? {} : { directory },
  );
  const record = async (outcome: Pick<Container, "status" | "exitCode">): Promise<void> => {
    if (request.remove) return;
    const { image } = request;
    const container: Container = {
      id,
      image: image.name,
      imageId: image.id,
      chainId: image.chainId,
      command: process.argv,
      created: environment.clock.now().toISOString(),
      owner: basename(environment.tmpDir),
      ...outcome,
    };
    await writeContainer(directory, { container, tmpDir: scratch });
  };
  try {
    await record({ status: "running" });
    const result = await start({ id, active, scratch, process, volumes }, { request, environment });
    const exitCode = exitCodeOf(result);
    await record({ status: "exited", exitCode });
    return { containerId: id, exitCode };
  } catch (error) {
    await environment.snapshots.abandon(active);
    // Its record too: what never ran is nothing to keep, and would hold its image for ever.
    await removeContainer(environment.containers, id);
    throw error;
  } finally {
    if (request.remove) await environment.snapshots.abandon(active);
    await removeTree(scratch);
  }
}

function exitCodeOf(result: SandboxResult): number {
  if (result.exitCode !== undefined) return result.exitCode;
  const signals: Readonly<Record<string, number>> = constants.signals;
  return 128 + (signals[result.signal ?? ""] ?? 0);
}

async function start(
  draft: Draft,
  given: { readonly request: RunRequest; readonly environment: RunEnvironment },
): Promise<SandboxResult> {
  const { active, scratch, process } = draft;
  const { request, environment } = given;
  const { network } = request;
  const user = await resolveUser({ tree: active.tree, user: process.user });
  await ensureWorkdir(draft, user);
  const hostname = request.hostname ?? draft.id.slice(0, 12);
  const files = writeNetworkFiles({
    directory: join(scratch, "etc"),
    hostname,
    network,
    withHostname: true,
  });
  const prepared = await prepareMountPoints({
    active,
    skeletons: scratch,
    mounts: [...files, ...draft.volumes],
    isFile: isFileMount,
  });
  const sandbox = environment.sandbox.run(
    {
      rootfs: prepared.rootfs,
      argv: process.argv,
      env: withIdentity(process.env, { HOSTNAME: hostname, HOME: user.home }),
      cwd: process.cwd,
      user,
      hostname,
      network,
      mounts: prepared.mounts,
      security: "sandbox",
    },
    {
      stdin: request.interactive ? "inherit" : "null",
      output: "inherit",
      onStart: request.onStart,
    },
    environment.signal,
  );
  const result = await sandbox.catch((error: unknown) => {
    throw explainNotFound(error, request.process);
  });
  await prepared.cleanUp();
  return result;
}

/** A working directory that is missing is created, owned by the user who starts there. */
async function ensureWorkdir(
  draft: Draft,
  owner: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const writer = openTreeWriter(draft.active);
  await makeDirectories({
    tree: draft.active.tree,
    writer,
    path: toRootPath(draft.process.cwd, { beyondRoot: "stay" }),
    attributes: { mode: 0o755, uid: owner.uid, gid: owner.gid, mtime: 0n },
  });
  await writer.finish();
}

/** Variables that the container itself gives, unless image or caller set them. */
function withIdentity(
  env: readonly string[],
  identity: Readonly<Record<string, string>>,
): string[] {
  const missing = Object.entries(identity).filter(
    ([name]) => !env.some((variable) => variable.startsWith(`${name}=`)),
  );
  return [...env, ...missing.map(([name, value]) => `${name}=${value}`)];
}
