import {
  coreError,
  createLimiter,
  isIndexType,
  isManifestType,
  isTsbuildError,
  type Digest,
  type Platform,
} from "../core/index.ts";
import { copyContent, type CopyRetry } from "./copy-content.ts";
import { onSide } from "./copy-side.ts";
import { plainDescriptor } from "./descriptor.ts";
import { maxManifestSize, parseManifestOrIndex } from "./manifest.ts";
import { readNamed } from "./name-document.ts";
import { readContent } from "./read-content.ts";
import { checkDepth, selectManifest } from "./select-manifest.ts";
import type { ContentSink, ContentSource, Descriptor } from "./types.ts";

/** One piece of content on its way. A piece that the sink has already is told once, as done and skipped. */
export interface CopyProgress {
  readonly descriptor: Descriptor;
  /** Bytes so far, of `descriptor.size`. */
  readonly current: number;
  readonly done: boolean;
  readonly skipped: boolean;
}

export interface CopyGraphOptions {
  readonly source: ContentSource;
  readonly sink: ContentSink;
  /** An index, a manifest, or a single blob. */
  readonly root: Descriptor;
  /** Copies only the best image for this platform out of an index. */
  readonly platform?: Platform | undefined;
  /** With `platform`: copies the indexes too, although most of their images stay behind. */
  readonly keepIndex?: boolean | undefined;
  /**
   * Layers that their owner forbids to redistribute are left out unless this is true. A store of one's own takes those that no
   * address is told of.
   */
  readonly foreignLayers?: boolean | undefined;
  /** How many pieces move at a time; 4 by default. */
  readonly concurrency?: number | undefined;
  /** Patience with a sink that fails in a way that passes. */
  readonly retry?: CopyRetry | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyGraphResult {
  /** What stands in the sink for the root: the root itself, or the image that was chosen out of it. */
  readonly root: Descriptor;
  /** The manifest that was chosen for the platform; the root when there was nothing to choose. */
  readonly manifest: Descriptor;
  readonly copied: { readonly count: number; readonly bytes: number };
  readonly skipped: { readonly count: number; readonly bytes: number };
}

/**
 * Copies a graph of content: children before parents, each digest once, several at a time, verified on the way, and
 * nothing that the sink has already. Pull, push, save and load are this function between two places.
 *
 * The first failure stops everything else, and is thrown after all work has ended. Nothing is tagged.
 * @throws CANCELED; IMAGE_* and mismatch codes; what the places throw — with `details.side` saying whether the
 * source or the sink failed
 */
export async function copyGraph(options: CopyGraphOptions): Promise<CopyGraphResult> {
  const { source, root, platform } = options;
  const failure = new AbortController();
  const signal = AbortSignal.any([
    failure.signal,
    ...(options.signal === undefined ? [] : [options.signal]),
  ]);
  try {
    const selected =
      platform === undefined
        ? { manifest: root, indexes: [] }
        : await onSide("source", source, () => selectManifest({ source, root, platform, signal }));
    const keepsIndex = options.keepIndex === true && selected.indexes.length > 0;
    const top = keepsIndex || selected.indexes.length === 0 ? root : selected.manifest;
    const onlyChild = new Map(keepsIndex ? pairs([...selected.indexes, selected.manifest]) : []);
    const walk = new GraphWalk({ ...options, signal }, onlyChild, (error) => failure.abort(error));
    await walk.run(top);
    return { root: top, manifest: selected.manifest, ...walk.totals };
  } catch (error) {
    if (options.signal?.aborted !== true) throw error;
    throw coreError("CANCELED", `copy ${root.digest} from ${source.label}: canceled`, {
      cause: error,
    });
  }
}

class GraphWalk {
  readonly totals = { copied: { count: 0, bytes: 0 }, skipped: { count: 0, bytes: 0 } };
  readonly #options: CopyGraphOptions & { readonly signal: AbortSignal };
  /** The one child of each index that is wanted, where not all are. */
  readonly #onlyChild: ReadonlyMap<Digest, Descriptor>;
  readonly #stop: (error: unknown) => void;
  readonly #limit: <T>(work: () => Promise<T>) => Promise<T>;
  readonly #started = new Map<Digest, Promise<void>>();
  #firstError: { readonly error: unknown } | undefined;

  constructor(
    options: CopyGraphOptions & { readonly signal: AbortSignal },
    onlyChild: ReadonlyMap<Digest, Descriptor>,
    stop: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#onlyChild = onlyChild;
    this.#stop = stop;
    this.#limit = createLimiter(
      options.sink.isSequential === true ? 1 : (options.concurrency ?? 4),
    );
  }

  async run(root: Descriptor): Promise<void> {
    await this.#visit(root, []).catch(() => undefined);
    // `visit` rejects early, while siblings may still be at work: wait for them, then tell the first failure.
    let settled = 0;
    while (settled < this.#started.size) {
      settled = this.#started.size;
      await Promise.allSettled(this.#started.values());
    }
    if (this.#firstError !== undefined) throw this.#firstError.error;
  }

  #visit(descriptor: Descriptor, path: readonly Digest[]): Promise<void> {
    const { digest } = descriptor;
    // Before the look at what has started: waiting for an ancestor would never end.
    if (path.includes(digest)) return this.#refuseCircle([...path, digest]);
    const known = this.#started.get(digest);
    if (known !== undefined) return known;
    const work = this.#copy(descriptor, path).catch((error: unknown) => {
      this.#firstError ??= { error };
      this.#stop(error);
      throw error;
    });
    this.#started.set(digest, work);
    return work;
  }

  async #copy(descriptor: Descriptor, path: readonly Digest[]): Promise<void> {
    const isDocument = isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType);
    if (!isDocument) return this.#limit(() => this.#copyBlob(descriptor));
    const { sink, source, signal } = this.#options;
    const isThere = await this.#limit(() => this.#isThere(descriptor));
    if (isThere && sink.hasChildrenToo === true) return this.#skip(descriptor);
    const bytes = await this.#limit(() =>
      onSide("source", source, () =>
        readContent({ source, descriptor, limit: maxManifestSize, signal }),
      ),
    );
    const children = await onSide("source", source, () =>
      Promise.resolve(
        readNamed({ descriptor, source }, () => this.#childrenOf(descriptor, bytes, path)),
      ),
    );
    const inside = isIndexType(descriptor.mediaType) ? [...path, descriptor.digest] : path;
    await Promise.all(children.map((child) => this.#visit(child, inside)));
    if (isThere) return this.#skip(descriptor);
    await this.#moveDocument(descriptor, { bytes, children });
  }

  /** Once more with what the sink lost after it said that it has it. */
  async #moveDocument(
    descriptor: Descriptor,
    { bytes, children }: { readonly bytes: Buffer; readonly children: readonly Descriptor[] },
  ): Promise<void> {
    try {
      await this.#limit(() => this.#move(descriptor, bytes));
    } catch (error) {
      const lost = children.filter(({ digest }) => lostIn(error).has(digest));
      if (lost.length === 0) throw error;
      await Promise.all(lost.map((child) => this.#limit(() => this.#move(child))));
      await this.#limit(() => this.#move(descriptor, bytes));
    }
  }

  #childrenOf(
    descriptor: Descriptor,
    bytes: Buffer,
    path: readonly Digest[],
  ): readonly Descriptor[] {
    const document = parseManifestOrIndex(bytes, descriptor.mediaType);
    if (document.type === "manifest") {
      const { config, layers } = document.manifest;
      return [config, ...layers.filter((layer) => !this.#staysBehind(layer))];
    }
    checkDepth([...path, descriptor.digest]);
    const only = this.#onlyChild.get(descriptor.digest);
    return only === undefined ? document.index.manifests : [only];
  }

  #staysBehind(layer: Descriptor): boolean {
    const { foreignLayers, sink } = this.#options;
    if (foreignLayers === true || !isForeign(layer)) return false;
    // Where no address is told nobody else has it: an image that came without such a layer could never be used.
    return sink.isOwn !== true || (layer.urls ?? []).length > 0;
  }

  async #copyBlob(descriptor: Descriptor): Promise<void> {
    if (await this.#isThere(descriptor)) return this.#skip(descriptor);
    await this.#move(descriptor);
  }

  #isThere(descriptor: Descriptor): Promise<boolean> {
    const { sink, signal } = this.#options;
    signal.throwIfAborted();
    return onSide("sink", sink, () => sink.has(plainDescriptor(descriptor), signal));
  }

  async #move(descriptor: Descriptor, bytes?: Buffer): Promise<void> {
    const { signal, onProgress } = this.#options;
    signal.throwIfAborted();
    const tell = (current: number, done: boolean): void =>
      onProgress?.({ descriptor, current, done, skipped: false });
    tell(0, false);
    await copyContent({
      ...this.#options,
      descriptor,
      bytes,
      onBytes: (size) => tell(size, false),
    });
    tell(descriptor.size, true);
    this.totals.copied.count += 1;
    this.totals.copied.bytes += descriptor.size;
  }

  #skip(descriptor: Descriptor): void {
    this.totals.skipped.count += 1;
    this.totals.skipped.bytes += descriptor.size;
    this.#options.onProgress?.({
      descriptor,
      current: descriptor.size,
      done: true,
      skipped: true,
    });
  }

  async #refuseCircle(path: readonly Digest[]): Promise<void> {
    const { source, root } = this.#options;
    return onSide("source", source, () =>
      Promise.resolve(readNamed({ descriptor: root, source }, () => checkDepth(path))),
    );
  }
}

function pairs(path: readonly Descriptor[]): readonly (readonly [Digest, Descriptor])[] {
  return path.slice(1).flatMap((child, index) => {
    const parent = path[index];
    return parent === undefined ? [] : [[parent.digest, child] as const];
  });
}

/** See `ContentSink.push`. */
function lostIn(error: unknown): ReadonlySet<unknown> {
  const lost = isTsbuildError(error) ? error.details["lost"] : undefined;
  return new Set(Array.isArray(lost) ? (lost as readonly unknown[]) : []);
}

function isForeign({ mediaType }: Descriptor): boolean {
  return mediaType.includes("nondistributable") || mediaType.includes("rootfs.foreign");
}
