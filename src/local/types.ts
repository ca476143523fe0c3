import type { Readable } from "node:stream";
import type { ChainId, Digest, LayerCompression, Platform } from "../core/index.ts";
import type { ContentSink, ContentSource, Descriptor, ImageConfig } from "../image/index.ts";

/** An image that is known here: its config over layers that are snapshots, blobs, or still in a registry. */
export interface LocalImage {
  /** Digest of the config document. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** The config document exactly as its digest says. */
  readonly configBytes: Buffer;
  /** The manifest it came with; absent when it was built here. */
  readonly manifest?: Descriptor;
}

export interface LocalImageSummary {
  readonly id: Digest;
  /** Normalised names that stand for it, sorted; empty for a dangling image. */
  readonly names: readonly string[];
  readonly repoDigests: readonly string[];
  readonly created: string | undefined;
  /** Bytes of all its layers, uncompressed. */
  readonly size: number;
  readonly platform: Platform;
}

/** Form in which layers leave: as plain tars (save), compressed (push), or whatever exists (copy). */
export interface ExportOptions {
  readonly compression: LayerCompression;
  readonly compressionLevel?: number;
  /** Use a blob in another compression when it exists already, such as a base layer as it was pulled. */
  readonly reuse: boolean;
  /** Docker schema 2 instead of OCI media types. */
  readonly dockerTypes?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The local image place: names and configs of `store/` over layers of `snapshot/`.
 *
 * As a sink (`sink()`), it takes what `copyGraph` moves: manifests, configs and layer blobs go to `store.blobs`, and
 * `tag` writes the name. Nothing is unpacked until `ensureUnpacked` needs it.
 */
export interface LocalImages {
  /**
   * An image by name, by name without a tag (`:latest`), by full ID or by a unique prefix of at least 2 hex digits.
   * `platform` chooses inside an index, the host's by default.
   */
  find(nameOrId: string, platform?: Platform): Promise<LocalImage | undefined>;
  list(): Promise<readonly LocalImageSummary[]>;
  tag(name: string, image: LocalImage): Promise<void>;
  /** Names a freshly built config, which is written to the store by this call. */
  create(configBytes: Buffer, names: readonly string[]): Promise<LocalImage>;
  /** Removes one name, or an image with all its names when given an ID. Content goes with the next gc. */
  remove(
    nameOrId: string,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly untagged: readonly string[]; readonly deleted: readonly Digest[] }>;
  /** Makes sure that all layers are committed snapshots and returns the top. `fetchLayer` gets what is not here. */
  ensureUnpacked(
    image: LocalImage,
    options?: {
      readonly fetchLayer?: (descriptor: Descriptor, signal?: AbortSignal) => Promise<Readable>;
      readonly onProgress?: (item: string, current: number, total: number, done: boolean) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<ChainId | undefined>;
  /** A source from which `copyGraph` can copy this image: a manifest over layers in the form asked for. */
  exportImage(
    image: LocalImage,
    options: ExportOptions,
  ): Promise<{ readonly root: Descriptor; readonly source: ContentSource }>;
  sink(): ContentSink;
}
