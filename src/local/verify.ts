import { join } from "node:path";
import {
  type ChainId,
  type Digest,
  digestAlgorithm,
  Digester,
  shortDigest,
} from "../core/index.ts";
import { openLayer } from "../layer/index.ts";
import type { LayerSource, Snapshot, Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import { layersOf } from "./image-layers.ts";
import { type ImageRecords, openImageRecords } from "./image-records.ts";
import { findLayerBlobs } from "./layer-blobs.ts";
import { collectImages } from "./list-images.ts";
import { configDescriptor, type ImagePlace, loadAllImages, loadImageById } from "./load-image.ts";
import { indexSnapshots, Reach, type SnapshotIndex } from "./reach.ts";
import type { LocalImage } from "./types.ts";

/** Something of the store that is not what it should be. */
export interface StoreDamage {
  readonly kind: "name" | "image" | "blob" | "snapshot";
  /** A name, a digest, or the file of a name that cannot be read. */
  readonly subject: string;
  /** What is wrong with it: the end of a sentence that begins with the subject. */
  readonly problem: string;
  /** Names, or IDs of nameless images, that need it. */
  readonly images: readonly string[];
}

export interface VerifyReport {
  readonly damages: readonly StoreDamage[];
  readonly checked: {
    readonly names: number;
    readonly images: number;
    readonly blobs: number;
    readonly snapshots: number;
  };
}

export interface VerifyOptions {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly signal?: AbortSignal;
}

/**
 * Reads everything that is kept and says what is damaged: names that lead nowhere, blobs whose bytes have another digest,
 * snapshots whose files were changed or whose parents are gone, layers that are nowhere. Changes nothing. To be called
 * inside `Store.protect`.
 */
export async function verifyStore(options: VerifyOptions): Promise<VerifyReport> {
  const verification = await Verification.open(options);
  await verification.run();
  return { damages: verification.damages, checked: verification.checked };
}

class Verification {
  readonly damages: StoreDamage[] = [];
  readonly checked = { names: 0, images: 0, blobs: 0, snapshots: 0 };
  readonly #options: VerifyOptions;
  readonly #place: ImagePlace & { readonly records: ImageRecords };
  readonly #index: SnapshotIndex;
  /** What needs a blob or a snapshot. */
  readonly #users = new Map<string, string[]>();

  static async open(options: VerifyOptions): Promise<Verification> {
    return new Verification(options, await indexSnapshots(options.snapshots));
  }

  private constructor(options: VerifyOptions, index: SnapshotIndex) {
    const { store } = options;
    this.#options = options;
    this.#index = index;
    this.#place = { store, records: openImageRecords(join(store.root, "images"), store.tmpDir) };
  }

  async run(): Promise<void> {
    await this.#checkNames();
    await this.#checkImages();
    await this.#checkBlobs();
    await this.#checkSnapshots();
  }

  async #checkNames(): Promise<void> {
    const { names } = this.#place.store;
    for (const file of await names.listDamaged()) {
      this.#report("name", { subject: file, problem: "is no record of a name" });
    }
    for (const { name, descriptor } of await names.list()) {
      this.checked.names += 1;
      await this.#examine("name", { subject: name, images: [name] }, async () => {
        const images = await loadAllImages(this.#place, descriptor);
        return images.length > 0
          ? undefined
          : `stands for ${shortDigest(descriptor.digest)}, which is missing or damaged`;
      });
    }
  }

  async #checkImages(): Promise<void> {
    for (const id of await this.#place.records.list()) {
      await this.#examine("image", { subject: id }, async () => {
        if ((await this.#place.records.get(id)) === undefined)
          return "has a record that is damaged";
        const image = await loadImageById(this.#place, id);
        return image === undefined ? "has lost its config" : undefined;
      });
    }
    for (const { image, names } of await this.#collect()) {
      this.checked.images += 1;
      const users = names.length > 0 ? names : [image.id];
      await this.#note(image, users);
      await this.#checkLayers(image, users);
    }
  }

  /** Nothing when a document is broken, which was told with its name. */
  async #collect(): ReturnType<typeof collectImages> {
    return collectImages(this.#place).catch(() => []);
  }

  async #note(image: LocalImage, users: readonly string[]): Promise<void> {
    const reach = new Reach(this.#place, this.#index);
    await reach.addDescriptor(image.manifest ?? configDescriptor(image));
    for (const part of [...reach.blobs, ...reach.chains]) {
      this.#users.set(part, [...(this.#users.get(part) ?? []), ...users]);
    }
  }

  /** A layer may still be in a registry; one that is not published must be here. */
  async #checkLayers(image: LocalImage, users: readonly string[]): Promise<void> {
    const { store, snapshots } = this.#options;
    for (const layer of await layersOf(store, image)) {
      await this.#examine("image", { subject: image.id, images: users }, async () => {
        if (layer.published !== undefined) return undefined;
        if ((await snapshots.stat(layer.chainId)) !== undefined) return undefined;
        if (snapshots.isOfOtherKind(layer.chainId)) return undefined;
        if ((await findLayerBlobs(store, layer)).length > 0) return undefined;
        return `has lost layer ${shortDigest(layer.diffId)}`;
      });
    }
  }

  async #checkBlobs(): Promise<void> {
    const { blobs } = this.#place.store;
    for await (const { digest } of blobs.list()) {
      this.#options.signal?.throwIfAborted();
      this.checked.blobs += 1;
      await this.#examine("blob", { subject: digest, images: this.#usersOf(digest) }, async () => {
        const found = await this.#hashBlob(digest);
        return found === digest ? undefined : `has other bytes: their digest is ${found}`;
      });
    }
  }

  async #hashBlob(digest: Digest): Promise<Digest> {
    const digester = new Digester(digestAlgorithm(digest));
    for await (const chunk of await this.#place.store.blobs.open(digest)) {
      this.#options.signal?.throwIfAborted();
      digester.update(chunk as Buffer);
    }
    return digester.digest();
  }

  async #checkSnapshots(): Promise<void> {
    for (const snapshot of this.#index.values()) {
      this.#options.signal?.throwIfAborted();
      this.checked.snapshots += 1;
      const { chainId } = snapshot;
      const images = this.#usersOf(chainId);
      await this.#examine("snapshot", { subject: chainId, images }, async () =>
        this.#checkSnapshot(snapshot),
      );
    }
  }

  async #checkSnapshot(snapshot: Snapshot): Promise<string | undefined> {
    const { snapshots } = this.#options;
    const { chainId } = snapshot;
    if ((await snapshots.stat(chainId)) === undefined) return "lacks its files or its parent";
    const isIntact = await this.#withLayer(snapshot, async (layer) =>
      snapshots.isIntact(chainId, layer),
    );
    return isIntact === false ? "holds other files than its layer" : undefined;
  }

  /** Opens the blob that the snapshot was made of, where it is needed and here. */
  async #withLayer<T>(
    { diffId, reproducible }: Snapshot,
    work: (layer?: LayerSource) => Promise<T>,
  ): Promise<T> {
    const { store } = this.#options;
    const [blob] = reproducible ? [] : await this.#blobsOf(diffId);
    if (blob === undefined) return work();
    const content = await store.blobs.open(blob);
    try {
      return await work(await openLayer(content));
    } finally {
      content.destroy();
    }
  }

  async #blobsOf(diffId: Snapshot["diffId"]): Promise<readonly Digest[]> {
    const { blobs, layerBlobs } = this.#options.store;
    const here: Digest[] = [];
    for (const { digest, size } of await layerBlobs.get(diffId)) {
      if ((await blobs.size(digest)) === size) here.push(digest);
    }
    return here;
  }

  #usersOf(part: Digest | ChainId): readonly string[] {
    return [...new Set(this.#users.get(part))].sort();
  }

  /** What cannot be read is damage too. */
  async #examine(
    kind: StoreDamage["kind"],
    about: { readonly subject: string; readonly images?: readonly string[] },
    look: () => Promise<string | undefined>,
  ): Promise<void> {
    try {
      const problem = await look();
      if (problem !== undefined) this.#report(kind, { ...about, problem });
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      const problem = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
      this.#report(kind, { ...about, problem });
    }
  }

  #report(
    kind: StoreDamage["kind"],
    damage: Omit<StoreDamage, "kind" | "images"> & { readonly images?: readonly string[] },
  ): void {
    this.damages.push({ kind, images: [], ...damage });
  }
}
