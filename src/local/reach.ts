import {
  type ChainId,
  type Digest,
  type DiffId,
  extendChain,
  isConfigType,
  isIndexType,
  isManifestType,
  isTsbuildError,
} from "../core/index.ts";
import {
  type Descriptor,
  maxConfigSize,
  maxManifestSize,
  parseImageConfig,
  parseManifestOrIndex,
} from "../image/index.ts";
import type { Snapshot, Snapshotter } from "../snapshot/index.ts";
import { readIfHere } from "./image-layers.ts";
import type { ImagePlace } from "./load-image.ts";

/** All committed snapshots by their name, read once. */
export type SnapshotIndex = ReadonlyMap<ChainId, Snapshot>;

export async function indexSnapshots(snapshots: Snapshotter): Promise<SnapshotIndex> {
  const index = new Map<ChainId, Snapshot>();
  for await (const snapshot of snapshots.list()) index.set(snapshot.chainId, snapshot);
  return index;
}

/**
 * What can be reached from descriptors, images and chains: the content that a gc must keep, or that an image takes up.
 * Things that are named but not here are in it too. A document that is damaged leads nowhere.
 */
export class Reach {
  readonly blobs = new Set<Digest>();
  readonly chains = new Set<ChainId>();
  readonly images = new Set<Digest>();
  readonly layers = new Set<DiffId>();
  readonly #place: ImagePlace;
  readonly #index: SnapshotIndex;

  constructor(place: ImagePlace, index: SnapshotIndex) {
    this.#place = place;
    this.#index = index;
  }

  /** An index, a manifest or a config with everything below it; any other blob alone. */
  async addDescriptor(descriptor: Descriptor): Promise<void> {
    const { mediaType, digest } = descriptor;
    if (isConfigType(mediaType)) return this.addImage(digest);
    if (this.blobs.has(digest)) return;
    this.blobs.add(digest);
    if (isIndexType(mediaType) || isManifestType(mediaType)) await this.#addDocument(descriptor);
  }

  /** A config with its layers, the manifest that it came with, the base that it was built on and the images built along. */
  async addImage(id: Digest): Promise<void> {
    if (this.images.has(id)) return;
    this.images.add(id);
    this.blobs.add(id);
    const { manifest, base, index } = (await this.#place.records.get(id)) ?? {};
    for (const descriptor of [manifest, base, index]) {
      if (descriptor !== undefined) await this.addDescriptor(descriptor);
    }
    let chainId: ChainId | undefined;
    for (const diffId of await this.#readDiffIds(id)) {
      chainId = extendChain(chainId, diffId);
      this.chains.add(chainId);
      await this.#addLayer(diffId);
    }
  }

  /** A snapshot with its parents, and the blobs of their layers: without those a pulled layer cannot be exported. */
  async addChain(chainId: ChainId): Promise<void> {
    let next: ChainId | undefined = chainId;
    while (next !== undefined && !this.chains.has(next)) {
      this.chains.add(next);
      const snapshot: Snapshot | undefined = this.#index.get(next);
      if (snapshot !== undefined) await this.#addLayer(snapshot.diffId);
      next = snapshot?.parent;
    }
  }

  async #addDocument(descriptor: Descriptor): Promise<void> {
    const bytes = await readIfHere(this.#place.store, descriptor, maxManifestSize);
    const document =
      bytes === undefined
        ? undefined
        : unlessInvalid(() => parseManifestOrIndex(bytes, descriptor.mediaType));
    if (document === undefined) return;
    if (document.type === "index") {
      for (const child of document.index.manifests) await this.addDescriptor(child);
      return;
    }
    const { config, layers } = document.manifest;
    for (const { digest } of layers) this.blobs.add(digest);
    // Whatever it calls itself, a config that can be read as one is an image.
    await this.addImage(config.digest);
  }

  async #addLayer(diffId: DiffId): Promise<void> {
    if (this.layers.has(diffId)) return;
    this.layers.add(diffId);
    for (const { digest } of await this.#place.store.layerBlobs.get(diffId)) this.blobs.add(digest);
  }

  async #readDiffIds(id: Digest): Promise<readonly DiffId[]> {
    const descriptor = { mediaType: "", digest: id, size: 0 };
    const bytes = await readIfHere(this.#place.store, descriptor, maxConfigSize);
    if (bytes === undefined) return [];
    return unlessInvalid(() => parseImageConfig(bytes))?.diffIds ?? [];
  }
}

/** undefined for a document that is no such thing; other failures must stop a gc before it deletes. */
function unlessInvalid<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (isTsbuildError(error) && error.code.startsWith("IMAGE_")) return undefined;
    throw error;
  }
}
