import { dirname, join, resolve } from "node:path";
import { openFileThread } from "../build/index.ts";
import { openLocalCache, type LocalCache } from "../cache/index.ts";
import {
  makeFolder,
  explainSystemError,
  isTsbuildError,
  systemClock,
  TsbuildError,
  type Clock,
  type ProgressListener,
} from "../core/index.ts";
import { openLocalImages, type LocalImages } from "../local/index.ts";
import type { ContainerPlaces } from "../runtime/index.ts";
import { openSandbox, type Isolation, type Sandbox } from "../sandbox/index.ts";
import { openSnapshotter, type Snapshotter } from "../snapshot/index.ts";
import { defaultRoot, openStore, type Store } from "../store/index.ts";
import { usageError } from "./errors.ts";

/** Options that every verb understands. */
export interface EngineOptions {
  /** Folder that holds all state; by default `$TSBUILD_ROOT` or the place for this user. */
  readonly root?: string | undefined;
  readonly isolation?: Isolation | undefined;
  readonly progress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/** The opened state root with the places that lie in it. What costs time to open is a function. */
export interface Engine {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly images: LocalImages;
  readonly cache: LocalCache;
  readonly sandbox: () => Promise<Sandbox>;
  readonly clock: Clock;
  readonly progress: ProgressListener;
  readonly signal: AbortSignal;
}

/**
 * Opens the state root, runs `work` while gc keeps away, and closes it again whatever happens. Every verb of the api
 * is one call of this.
 */
export async function withEngine<T>(
  options: EngineOptions,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(options);
  try {
    return await engine.store.protect(() => work(engine));
  } catch (error) {
    throw explainSystemError(explainPrivilege(error));
  } finally {
    await engine.store.close();
  }
}

/** Where `runtime/` keeps the containers of a state root. */
export function containersOf({ store }: Engine): ContainerPlaces {
  return { containers: join(store.root, "containers"), tmp: dirname(store.tmpDir) };
}

/** Owners and devices of files are root's business; the bare system call does not say so. */
function explainPrivilege(error: unknown): unknown {
  if (!isTsbuildError(error, "SYSCALL_FAILED") || error.hint !== undefined) return error;
  if (error.details["errno"] !== "EPERM" || process.getuid?.() === 0) return error;
  return new TsbuildError({
    code: error.code,
    message: error.message,
    hint: "the files of an image belong to several users, which only root can arrange: run tsbuild as root",
    location: error.location,
    details: error.details,
    cause: error.cause,
  });
}

/** Opens the state root without keeping gc away: for gc itself. The caller closes `store`. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const clock = options.clock ?? systemClock;
  if (options.root === "") {
    throw usageError(
      "use an empty name as the folder of all state",
      "leave --root out, or name a folder",
    );
  }
  // Absolute, because snapshots are mounted and the working directory may be anybody's.
  const root = resolve(options.root ?? defaultRoot());
  const store = await openStore({ root, clock });
  const snapshots = await openSnapshotter({
    directory: join(root, "snapshots"),
    tmpDir: store.tmpDir,
    withLock: (name, work) => store.withLock(name, work, options.signal),
    openThread: openFileThread,
    signal: options.signal,
    // Only a complete tree can be the root of a step without mounts.
    ...(options.isolation === "chroot" ? { kind: "copy" } : {}),
  }).catch(async (error: unknown) => {
    await store.close();
    throw explainSystemError(error);
  });
  const progress = options.progress ?? (() => undefined);
  let sandbox: Promise<Sandbox> | undefined;
  const open = async (): Promise<Sandbox> => {
    const stateDir = join(store.tmpDir, "sandbox");
    makeFolder(stateDir);
    return openSandbox(options.isolation ?? "auto", {
      stateDir,
      cacheDir: join(root, "cache"),
      hasLayers: snapshots.kind === "overlayfs",
      onWarning: (warning) =>
        progress({ type: "warning", time: clock.now().getTime(), ...warning }),
    });
  };
  return {
    store,
    snapshots,
    images: openLocalImages({ store, snapshots, clock }),
    cache: openLocalCache({ directory: root, tmpDir: store.tmpDir, clock }),
    sandbox: () => (sandbox ??= open()),
    clock,
    progress,
    signal: options.signal ?? new AbortController().signal,
  };
}
