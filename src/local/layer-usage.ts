import { join } from "node:path";
import type { ChainId, DiffId } from "../core/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import { addRoot, type GcRoot } from "./gc.ts";
import { openImageRecords } from "./image-records.ts";
import { indexSnapshots, Reach } from "./reach.ts";

/** What one layer takes up. */
export interface LayerUsage {
  readonly diffId: DiffId;
  readonly parent: ChainId | undefined;
  readonly parts: readonly LayerPart[];
}

/** A layer's unpacked files, or a blob that holds it in some form. */
export interface LayerPart {
  /** The same wherever this very content is used. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
  /** Whether an image or another root needs it. */
  readonly isNeeded: boolean;
}

/**
 * What every layer that is unpacked here takes up, and which of it is needed by names, images without a name and `roots`,
 * so that only the rest goes with the build cache. Reads no layer.
 */
export async function measureLayers(options: {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly roots: AsyncIterable<GcRoot> | Iterable<GcRoot>;
}): Promise<ReadonlyMap<ChainId, LayerUsage>> {
  const { store, snapshots, roots } = options;
  const records = openImageRecords(join(store.root, "images"), store.tmpDir);
  const index = await indexSnapshots(snapshots);
  const live = new Reach({ store, records }, index);
  for (const { descriptor } of await store.names.list()) await live.addDescriptor(descriptor);
  for (const id of await records.list()) await live.addImage(id);
  for await (const root of roots) await addRoot(live, root);
  const layers = new Map<ChainId, LayerUsage>();
  for (const snapshot of index.values()) {
    const { chainId, diffId, parent } = snapshot;
    const size = snapshots.spaceOf(snapshot);
    const files = { id: chainId, size, isNeeded: live.chains.has(chainId) };
    const parts: LayerPart[] = [files];
    for (const { digest } of await store.layerBlobs.get(diffId)) {
      const size = await store.blobs.size(digest);
      if (size !== undefined) parts.push({ id: digest, size, isNeeded: live.blobs.has(digest) });
    }
    layers.set(chainId, { diffId, parent, parts });
  }
  return layers;
}
