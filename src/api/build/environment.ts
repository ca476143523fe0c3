import { join } from "node:path";
import { type BuildEnvironment, openFileThread, type StepLog } from "../../build/index.ts";
import { openDirectoryContext, openStatCache, type StatCache } from "../../context/index.ts";
import { type ChainId, digestHex, digestOf } from "../../core/index.ts";
import type { MergedTree } from "../../layer/index.ts";
import type { CacheMountStore } from "../../store/index.ts";
import type { BaseImages } from "../base-images.ts";
import { cacheMountAccess } from "../cache-mounts/access.ts";
import type { Engine } from "../engine.ts";
import type { Remotes } from "./remotes.ts";
import type { BuildSources } from "./sources.ts";

export async function openEnvironment(
  engine: Engine,
  request: {
    readonly sources: BuildSources;
    /** Of named contexts, by their names. */
    readonly directories: ReadonlyMap<string, string>;
    readonly remotes: Remotes;
    readonly bases: BaseImages;
    readonly steps: StepLog;
    readonly lastBuild: BuildEnvironment["lastBuild"];
    readonly remote?: BuildEnvironment["remote"];
    /** SOURCE_DATE_EPOCH in seconds. */
    readonly epoch: number | undefined;
  },
): Promise<BuildEnvironment> {
  const { sources, bases, steps, remotes, lastBuild, remote, epoch = 0 } = request;
  const { context } = sources;
  const { store } = engine;
  const place = context.type === "directory" ? context.directory : context.label;
  const statCache = await openStatCache({
    path: join(store.root, "cache", "contexts", digestHex(digestOf(place))),
    tmpDir: store.tmpDir,
  });
  return {
    ...engine,
    statCache,
    lastBuild,
    remote,
    layerDigests: onceEach((chainId: ChainId) =>
      openStatCache({ path: engine.snapshots.notesOf(chainId), tmpDir: store.tmpDir }),
    ),
    thread: openFileThread(),
    steps,
    contexts: contextsOf(request, statCache),
    cacheMounts: await openCaches(engine),
    git: remotes.git,
    fetchLayer: (image, descriptor, wanted) => bases.fetchLayer(image, descriptor, wanted),
    implicitTime: BigInt(epoch) * 1_000_000_000n,
    hostname: "buildkitsandbox",
  };
}

/** The store's own, or copies for those who may not change them. @throws USAGE */
async function openCaches({ store }: Engine): Promise<CacheMountStore> {
  if (cacheMountAccess() === "read-write") return store.cacheMounts;
  const { openPrivateCaches } = await import("../cache-mounts/private-caches.ts");
  return openPrivateCaches(store);
}

type OpenContext = () => Promise<MergedTree>;

/** Named ones have an ignore file of their own only: that of the Dockerfile speaks of the main context. */
function contextsOf(
  request: {
    readonly sources: BuildSources;
    readonly directories: ReadonlyMap<string, string>;
  },
  statCache: StatCache,
): ReadonlyMap<string, OpenContext> {
  const { context, dockerfile } = request.sources;
  const named = Array.from(request.directories, ([name, directory]): [string, OpenContext] => [
    name,
    once(() => openDirectoryContext({ directory, statCache })),
  ]);
  const open: OpenContext =
    context.type === "tree"
      ? () => Promise.resolve(context.tree)
      : once(() =>
          openDirectoryContext({
            directory: context.directory,
            dockerfile: dockerfile.path,
            statCache,
          }),
        );
  return new Map([...named, ["context", open]]);
}

function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => (result ??= work());
}

function onceEach<Key, Result>(work: (key: Key) => Promise<Result>): (key: Key) => Promise<Result> {
  const results = new Map<Key, Promise<Result>>();
  return (key) => {
    const result = results.get(key) ?? work(key);
    results.set(key, result);
    return result;
  };
}
