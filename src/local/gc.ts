import { join } from "node:path";
import { type ChainId, type Clock, type Digest, systemClock } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { Snapshot, Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import { openImageRecords } from "./image-records.ts";
import type { ImagePlace } from "./load-image.ts";
import { indexSnapshots, Reach, type SnapshotIndex } from "./reach.ts";

/** Something that stays, with everything it needs. */
export type GcRoot =
  | { readonly type: "descriptor"; readonly descriptor: Descriptor }
  /** Config digest: of a container's image, for example. */
  | { readonly type: "image"; readonly id: Digest }
  /** The state on which a container lies, or which a cache record names. */
  | { readonly type: "chain"; readonly chainId: ChainId };

export interface GcOptions {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  /**
   * What others need: containers, recent cache records. Asked for once nothing can change any more. Names are roots
   * already.
   */
  readonly roots: () => AsyncIterable<GcRoot> | Iterable<GcRoot>;
  /** What happens to images without a name that no root needs; they stay unless told. */
  readonly dangling?: "keep" | "remove";
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

/** One thing that gc did. */
export interface GcStep {
  readonly name: (typeof steps)[number]["name"];
  /** How many things were removed. */
  readonly removed: number;
  /** Bytes that they took up. */
  readonly bytes: number;
  readonly durationMs: number;
}

export type GcReport =
  /** Somebody else is at work; try again later. */
  | { readonly type: "deferred" }
  | { readonly type: "done"; readonly steps: readonly GcStep[]; readonly bytes: number };

/**
 * Removes what no root needs. Takes the store's lock without waiting, so it never runs beside a build or a run: in doubt
 * it is deferred. May be killed at any moment: what has gone by then was garbage, the rest is for the next one. Any
 * failure to read ends it before it deletes on half the knowledge.
 */
export async function collectGarbage(options: GcOptions): Promise<GcReport> {
  const report = await options.store.tryExclusive(async () => runSteps(options));
  return report ?? { type: "deferred" };
}

/** Bytes that {@link collectGarbage} would free now; nothing is removed, and nobody is kept away. */
export async function measureGarbage(options: GcOptions): Promise<number> {
  const collection = await openCollection(options);
  await mark(collection);
  let bytes = await options.store.blobs.partialSize();
  for (const snapshot of garbageSnapshots(collection)) {
    bytes += options.snapshots.spaceOf(snapshot);
  }
  for await (const { size } of garbageBlobs(collection)) bytes += size;
  return bytes;
}

/**
 * Removes of some states those that no root needs and nothing else, where nobody else is at work; "deferred" where somebody
 * is. Returns those of them that are still here.
 */
export async function removeStates(
  states: ReadonlySet<ChainId>,
  options: GcOptions,
): Promise<readonly ChainId[] | "deferred"> {
  const left = await options.store.tryExclusive(async () => {
    const collection = await openCollection(options);
    await mark(collection);
    const parents = new Set([...collection.index.values()].map(({ parent }) => parent));
    const isWanted = ({ chainId }: Snapshot): boolean =>
      states.has(chainId) && !parents.has(chainId);
    const wanted = garbageSnapshots(collection).filter(isWanted);
    for (const { chainId } of wanted) await options.snapshots.remove(chainId);
    const gone = new Set(wanted.map(({ chainId }) => chainId));
    return [...states].filter((state) => collection.index.has(state) && !gone.has(state));
  });
  return left ?? "deferred";
}

/** What the steps share: the first ones find out, the others delete by it. */
interface Collection {
  readonly options: GcOptions;
  readonly place: ImagePlace;
  readonly index: SnapshotIndex;
  readonly live: Reach;
}

type Removed = { readonly removed: number; readonly bytes: number };

const steps = [
  { name: "names", run: removeDamagedNames },
  { name: "mark", run: mark },
  { name: "images", run: removeDanglingImages },
  { name: "snapshots", run: removeSnapshots },
  { name: "blobs", run: removeBlobs },
  { name: "layer-blobs", run: removeLayerBlobs },
  { name: "layer-origins", run: removeLayerOrigins },
  { name: "tmp", run: sweepTmp },
] as const;

async function runSteps(options: GcOptions): Promise<GcReport> {
  const { clock = systemClock, signal } = options;
  const collection = await openCollection(options);
  const done: GcStep[] = [];
  for (const { name, run } of steps) {
    signal?.throwIfAborted();
    const started = clock.now().getTime();
    const { removed, bytes } = await run(collection);
    done.push({ name, removed, bytes, durationMs: clock.now().getTime() - started });
  }
  return { type: "done", steps: done, bytes: done.reduce((sum, step) => sum + step.bytes, 0) };
}

async function openCollection(options: GcOptions): Promise<Collection> {
  const { store, snapshots } = options;
  const records = openImageRecords(join(store.root, "images"), store.tmpDir);
  const place = { store, records };
  const index = await indexSnapshots(snapshots);
  return { options, place, index, live: new Reach(place, index) };
}

/** What stands for nothing keeps nothing, and nobody can remove it by its name. */
async function removeDamagedNames({ place: { store } }: Collection): Promise<Removed> {
  return { removed: await store.names.sweep(), bytes: 0 };
}

async function mark({ options, place, live }: Collection): Promise<Removed> {
  for (const { descriptor } of await place.store.names.list()) await live.addDescriptor(descriptor);
  for await (const root of options.roots()) await addRoot(live, root);
  if (options.dangling !== "remove") {
    for (const id of await place.records.list()) await live.addImage(id);
  }
  return { removed: 0, bytes: 0 };
}

export async function addRoot(live: Reach, root: GcRoot): Promise<void> {
  switch (root.type) {
    case "descriptor":
      return live.addDescriptor(root.descriptor);
    case "image":
      return live.addImage(root.id);
    case "chain":
      return live.addChain(root.chainId);
  }
}

async function removeDanglingImages({ place, live }: Collection): Promise<Removed> {
  let removed = 0;
  for (const id of await place.records.list()) {
    if (live.images.has(id)) continue;
    await place.records.remove(id);
    removed += 1;
  }
  return { removed, bytes: 0 };
}

/** Children before parents: whenever it ends, every snapshot that is left has its parents. */
async function removeSnapshots(collection: Collection): Promise<Removed> {
  const { options, index } = collection;
  const ordered = garbageSnapshots(collection)
    .map((snapshot) => ({ snapshot, depth: depthOf(index, snapshot) }))
    .sort((a, b) => b.depth - a.depth);
  let bytes = 0;
  const swept = await options.snapshots.sweep();
  for (const { snapshot } of ordered) {
    options.signal?.throwIfAborted();
    const space = options.snapshots.spaceOf(snapshot);
    await options.snapshots.remove(snapshot.chainId);
    bytes += space;
  }
  return { removed: ordered.length + swept, bytes };
}

function garbageSnapshots({ index, live }: Collection): readonly Snapshot[] {
  return [...index.values()].filter(({ chainId }) => !live.chains.has(chainId));
}

function depthOf(index: SnapshotIndex, snapshot: Snapshot): number {
  let depth = 0;
  for (let at = snapshot.parent; at !== undefined; at = index.get(at)?.parent) depth += 1;
  return depth;
}

async function removeBlobs(collection: Collection): Promise<Removed> {
  const { options, place } = collection;
  const removed = { ...(await place.store.blobs.clearPartial()) };
  for await (const { digest, size } of garbageBlobs(collection)) {
    options.signal?.throwIfAborted();
    await place.store.blobs.remove(digest);
    removed.removed += 1;
    removed.bytes += size;
  }
  return removed;
}

async function* garbageBlobs({ place, live }: Collection) {
  for await (const blob of place.store.blobs.list()) {
    if (!live.blobs.has(blob.digest)) yield blob;
  }
}

/** Hints that lead to no blob any more. */
async function removeLayerBlobs({ place: { store } }: Collection): Promise<Removed> {
  let removed = 0;
  for await (const diffId of store.layerBlobs.list()) {
    for (const { digest } of await store.layerBlobs.get(diffId)) {
      if (await store.blobs.has(digest)) continue;
      await store.layerBlobs.remove(diffId, digest);
      removed += 1;
    }
  }
  return { removed, bytes: 0 };
}

/** Where layers can be had that nobody needs any more. */
async function removeLayerOrigins({ place: { store }, live }: Collection): Promise<Removed> {
  let removed = 0;
  for await (const diffId of store.layerOrigins.list()) {
    if (live.layers.has(diffId)) continue;
    await store.layerOrigins.remove(diffId);
    removed += 1;
  }
  return { removed, bytes: 0 };
}

async function sweepTmp({ place: { store } }: Collection): Promise<Removed> {
  const { removed } = await store.sweep();
  return { removed: removed.length, bytes: 0 };
}
