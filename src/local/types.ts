import type { Readable } from "node:stream";
import type {
  ChainId,
  DiffId,
  Digest,
  JobThread,
  LayerCompression,
  Platform,
} from "../core/index.ts";
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
  /** Manifest of the image it was built on, where the build told (`create`). */
  readonly base?: Descriptor;
  /** What the name stands for under which it was found: its config, its manifest, or the index that it is in. */
  readonly root?: Descriptor;
  /** What its manifest says of it, where the build told. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RemoveOptions {
  /** Takes an image with all its names. */
  readonly force?: boolean;
  /** Asked before anything goes, for each image that does; throws to refuse. */
  readonly mayGo?: ((id: Digest) => Promise<void>) | undefined;
}

export interface RemovedImage {
  /** Full names. */
  readonly untagged: readonly string[];
  readonly deleted: readonly Digest[];
}

/**
 * Removes one after the other by what was here at the first call; it costs the same for each. What other processes name
 * meanwhile keeps its name.
 */
export interface ImageRemoval {
  /** See `LocalImages.remove`. */
  remove(nameOrId: string, options?: RemoveOptions): Promise<RemovedImage>;
}

/** Images that leave together: one, or those of an index. */
export interface ImageGroup {
  /** At least one. Without an index exactly one. */
  readonly members: readonly GroupMember[];
  readonly index?: {
    readonly annotations?: Readonly<Record<string, string>>;
    /** The index that they came in, with everything that it lists. */
    readonly original?: { readonly root: Descriptor; readonly manifests: readonly Digest[] };
  };
  /** What the index that they came in lists beside them: it is not here. */
  readonly missing?: readonly Descriptor[];
}

/** An image of a group with what the index says of it. */
export interface GroupMember {
  readonly image: LocalImage;
  readonly platform?: Platform;
  /** Of its entry in the index. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface LocalImageSummary {
  readonly id: Digest;
  /** Normalised names that stand for it, sorted; empty for a dangling image. */
  readonly names: readonly string[];
  /** `repository@digest`, sorted. */
  readonly repoDigests: readonly string[];
  readonly created: string | undefined;
  /** Bytes of all its layers, uncompressed; for layers that were never unpacked, as they were or would be pulled. */
  readonly size: number;
  readonly platform: Platform;
  /**
   * The indexes that it is in together with others that are here, or that were built here, with those of `names` that
   * stand for them; an index without a name is told only for an image without one.
   */
  readonly indexes: readonly { readonly digest: Digest; readonly names: readonly string[] }[];
}

/** A layer as a manifest lists it, with places beside the registry of its image that have it. */
export interface PublishedLayer extends Descriptor {
  /** As `--cache-from` names places. */
  readonly origins?: readonly string[];
  /** ISO time at which its step ran, where that is known. */
  readonly created?: string | undefined;
}

/** What is wanted of a layer's blob. */
export interface LayerRequest {
  /** Bytes at the beginning that are here already; 0 by default. */
  readonly offset?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gets the blob of a layer that is not here, usually from the registry of the image. With an offset it may fail where
 * the whole can be had.
 */
export type FetchLayer = (layer: PublishedLayer, wanted: LayerRequest) => Promise<Readable>;

/** One layer of a stack, and where its bytes may be. */
export interface StackLayer {
  readonly diffId: DiffId;
  /** What it lies on. */
  readonly parent: ChainId | undefined;
  readonly chainId: ChainId;
  readonly published?: PublishedLayer | undefined;
}

/** Form in which layers leave: as plain tars (save), compressed (push), or whatever exists (copy). */
export interface ExportOptions {
  readonly compression: LayerCompression;
  /**
   * 0 to 9 for gzip, our own encoder unless given; 0 to 22 for zstd, 3 unless given. It is that of every layer that was
   * built here, whatever is there already; of others where `reuse` does not keep them.
   */
  readonly compressionLevel?: number;
  /** Leave layers in the form in which they came, such as those of a base as it was pulled. */
  readonly reuse: boolean;
  /** Docker schema 2 instead of OCI media types; not with zstd, which it does not have. */
  readonly dockerTypes?: boolean;
  /** For layers that are only in a registry. Called when their content is wanted. */
  readonly fetchLayer?: FetchLayer;
  /** Reads files of layers that are made into tars. */
  readonly thread?: JobThread | undefined;
  /** Asked for each layer that is going to be compressed; who is given hears its bytes while they are made. */
  readonly listenTo?: ((layer: DiffId) => Promise<BlobListener | undefined>) | undefined;
  readonly signal?: AbortSignal;
}

/** Hears of a blob that is being made. Nobody waits for it, and it fails never. */
export interface BlobListener {
  /** The next bytes, which nobody changes afterwards. */
  write(chunk: Uint8Array): void;
  /** The blob is in the store. */
  finish(blob: Descriptor): void;
  /** There will be none. */
  cancel(): void;
}

export interface UnpackOptions {
  readonly fetchLayer?: FetchLayer;
  /** Bytes of one download (`item` is the short digest) or of one unpacking (`unpack` and the short digest). */
  readonly onProgress?: (item: string, current: number, total: number, done: boolean) => void;
  /** Makes a part of the files. */
  readonly thread?: JobThread | undefined;
  readonly signal?: AbortSignal;
}

/**
 * The local image place: names and configs of `store/` over layers of `snapshot/`.
 *
 * As a sink (`sink()`), it takes what `copyGraph` moves: manifests, configs and layer blobs go to `store.blobs`, and
 * `tag` writes the name. Nothing is unpacked until `ensureUnpacked` needs it. Everything that writes, and everything
 * that relies on what it found, happens inside `store.protect`.
 *
 * ```ts
 * const { root } = await copyGraph({ source: registry, sink: images.sink(), root, platform });
 * await images.sink({ fromRegistry: true }).tag(name, root);
 * const image = await images.find(name);
 * const chainId = image && (await images.ensureUnpacked(image));
 * ```
 */
export interface LocalImages {
  /**
   * An image by name, by name without a tag (`:latest`), by `repository@digest`, by full ID or by a unique prefix of at
   * least 2 hex digits; the ID of an index serves as well, and the digest that it was pushed with. `platform`
   * chooses inside an index; without it the host's is preferred. undefined as well when the image's documents are missing
   * or damaged.
   * @throws LOCAL_ID_AMBIGUOUS
   */
  find(nameOrId: string, platform?: Platform): Promise<LocalImage | undefined>;
  /** Sorted by ID. */
  list(): Promise<readonly LocalImageSummary[]>;
  /** Names the image; one that was found in an index takes the whole index along. @throws REFERENCE_INVALID */
  tag(name: string, image: LocalImage): Promise<void>;
  /**
   * Names a freshly built config, which is written to the store by this call. `base` is the ID of the image it was built
   * on: what its manifest says of the lower layers is kept, and needed where those were never unpacked.
   */
  create(
    configBytes: Buffer,
    names: readonly string[],
    options?: { readonly base?: Digest },
  ): Promise<LocalImage>;
  /** An image of a config that is in no store: to be exported, or kept by `keep`. Options as for `create`. */
  prepare(
    configBytes: Buffer,
    options?: {
      readonly base?: Digest;
      readonly annotations?: Readonly<Record<string, string>>;
    },
  ): Promise<LocalImage>;
  /**
   * Writes prepared images into the store under names, several of them as one index; with what the names stand for as
   * their `root`. Layers get no form by that: it is chosen when they leave. The images count as here, and have their
   * names, once `after` is over.
   */
  keep(
    group: ImageGroup,
    names: readonly string[],
    options?: { readonly after?: Promise<unknown> | undefined },
  ): Promise<ImageGroup>;
  /** The images that leave when `image` does: those of its index that are here, or it alone. */
  groupOf(image: LocalImage): Promise<ImageGroup>;
  /**
   * Makes an image of content that was pushed into `sink()` known without a name.
   * @throws LOCAL_IMAGE_NOT_FOUND when its manifest or config is not here
   */
  adopt(root: Descriptor, platform?: Platform): Promise<LocalImage>;
  /**
   * Removes one name, or an image with all its names when given an ID (several need `force`). An image goes with its
   * last name, its content with the next gc.
   * @throws LOCAL_IMAGE_NOT_FOUND, LOCAL_IMAGE_HAS_NAMES, LOCAL_ID_AMBIGUOUS
   */
  remove(nameOrId: string, options?: RemoveOptions): Promise<RemovedImage>;
  /** For removing several: what is here is read once. */
  openRemoval(): ImageRemoval;
  /**
   * Reads all layers, which are here as blobs, and unpacks none.
   * @throws LOCAL_LAYER_MISSING; DIGEST_MISMATCH when a layer is not what the config says; LAYER_*
   */
  checkLayers(image: LocalImage, signal?: AbortSignal): Promise<void>;
  /**
   * Makes sure that all layers are committed snapshots and returns the top. `fetchLayer` gets what is not here. Each
   * layer is fetched and unpacked once, whoever asks, in this process or another.
   * @throws LOCAL_LAYER_MISSING; DIGEST_MISMATCH when a layer is not what the config says; LAYER_*
   */
  ensureUnpacked(image: LocalImage, options?: UnpackOptions): Promise<ChainId | undefined>;
  /** The same for the layers of a stack, bottom first, that is no image's; what the first one lies on is here. */
  ensureStack(layers: readonly StackLayer[], options?: UnpackOptions): Promise<ChainId | undefined>;
  /**
   * A source from which `copyGraph` can copy this image: a manifest over layers in the form asked for. It is the original
   * manifest where its layers are the ones that leave, so that what was pulled is pushed under the same digest. Of an
   * image that was found in an index, all those leave that are here, in an index, when there are several.
   * @throws LOCAL_LAYER_MISSING, LOCAL_LAYER_CHANGED, LOCAL_COMPRESSION_UNSUPPORTED
   */
  exportImage(
    image: LocalImage,
    options: ExportOptions,
  ): Promise<{ readonly root: Descriptor; readonly source: ContentSource }>;
  /**
   * What the image's name stands for exactly as it came, an index with all that it lists, where every byte of it is here:
   * `source()` has it then. undefined where something would have to be made or fetched.
   */
  findOriginal(image: LocalImage): Promise<Descriptor | undefined>;
  /** `exportImage` for images that need not be in the store. */
  exportGroup(
    group: ImageGroup,
    options: ExportOptions,
  ): Promise<{ readonly root: Descriptor; readonly source: ContentSource }>;
  /**
   * Gives layers a form without an image around them. Those that are neither here nor anywhere known are left out. The
   * source has their blobs.
   * @throws LOCAL_LAYER_CHANGED
   */
  exportLayers(
    layers: readonly StackLayer[],
    options: ExportOptions,
  ): Promise<{
    readonly layers: ReadonlyMap<DiffId, Descriptor>;
    readonly source: ContentSource;
  }>;
  /** `fromRegistry`: names that are tagged here remember the digest under which their registry knows them. */
  sink(options?: { readonly fromRegistry?: boolean }): ContentSink;
  /** Everything as it lies in the store: blobs by digest and names, nothing made on the way. */
  source(): ContentSource;
}
