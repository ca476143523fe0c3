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
  const { store, snapshots, clock = systemClock, signal } = options;
  const records = openImageRecords(join(store.root, "images"), store.tmpDir);
  const place = { store, records };
  const index = await indexSnapshots(snapshots);
  const collection = { options, place, index, live: new Reach(place, index) };
  const done: GcStep[] = [];
  for (const { name, run } of steps) {
    signal?.throwIfAborted();
    const started = clock.now().getTime();
    const { removed, bytes } = await run(collection);
    done.push({ name, removed, bytes, durationMs: clock.now().getTime() - started });
  }
  return { type: "done", steps: done, bytes: done.reduce((sum, step) => sum + step.bytes, 0) };
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
async function removeSnapshots({ options, index, live }: Collection): Promise<Removed> {
  const garbage = [...index.values()].filter(({ chainId }) => !live.chains.has(chainId));
  const ordered = garbage
    .map((snapshot) => ({ snapshot, depth: depthOf(index, snapshot) }))
    .sort((a, b) => b.depth - a.depth);
  let bytes = 0;
  const swept = await options.snapshots.sweep();
  for (const { snapshot } of ordered) {
    options.signal?.throwIfAborted();
    await options.snapshots.remove(snapshot.chainId);
    bytes += snapshot.contentSize;
  }
  return { removed: ordered.length + swept, bytes };
}

function depthOf(index: SnapshotIndex, snapshot: Snapshot): number {
  let depth = 0;
  for (let at = snapshot.parent; at !== undefined; at = index.get(at)?.parent) depth += 1;
  return depth;
}

async function removeBlobs({ options, place, live }: Collection): Promise<Removed> {
  const removed = { ...(await place.store.blobs.clearPartial()) };
  for await (const { digest, size } of place.store.blobs.list()) {
    if (live.blobs.has(digest)) continue;
    options.signal?.throwIfAborted();
    await place.store.blobs.remove(digest);
    removed.removed += 1;
    removed.bytes += size;
  }
  return removed;
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
