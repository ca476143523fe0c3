import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openLocalCache, type LocalCache } from "../cache/index.ts";
import { systemClock, type Clock, type ProgressListener } from "../core/index.ts";
import { openLocalImages, type LocalImages } from "../local/index.ts";
import { openSandbox, type Isolation, type Sandbox } from "../sandbox/index.ts";
import { openSnapshotter, type Snapshotter } from "../snapshot/index.ts";
import { defaultRoot, openStore, type Store } from "../store/index.ts";

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
  } finally {
    await engine.store.close();
  }
}

/** Opens the state root without keeping gc away: for gc itself. The caller closes `store`. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const clock = options.clock ?? systemClock;
  const root = options.root ?? defaultRoot();
  const store = await openStore({ root, clock });
  const snapshots = await openSnapshotter({
    directory: join(root, "snapshots"),
    tmpDir: store.tmpDir,
  });
  const progress = options.progress ?? (() => undefined);
  let sandbox: Promise<Sandbox> | undefined;
  const open = async (): Promise<Sandbox> => {
    const stateDir = join(store.tmpDir, "sandbox");
    await mkdir(stateDir, { recursive: true });
    return openSandbox(options.isolation ?? "auto", {
      stateDir,
      cacheDir: join(root, "cache"),
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
