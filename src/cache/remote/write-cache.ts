import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createLimiter,
  digestOf,
  isTsbuildError,
  layerCompression,
  mediaTypes,
  type Digest,
  type DiffId,
} from "../../core/index.ts";
import {
  copyGraph,
  type ContentSource,
  type CopyProgress,
  type Descriptor,
} from "../../image/index.ts";
import { cacheError } from "../errors.ts";
import { statesOf, type CacheContents, type RemoteRecord } from "./contents.ts";
import { serializeDocument } from "./document.ts";
import {
  cacheConfigType,
  readStandingCache,
  writeManifest,
  type CacheForm,
  type StandingCache,
} from "./manifest.ts";
import { mergeContents } from "./merge.ts";
import type { CachePlace } from "./place.ts";

export interface WriteCacheRequest {
  readonly place: CachePlace;
  /** What this builder knows; its layers are chosen by `exportLayers`. */
  readonly records: readonly RemoteRecord[];
  /** The cache as it was read a while ago, if it was. */
  readonly known?: StandingCache | undefined;
  /** Layers that somebody has found to be gone, whatever the place says. */
  readonly isLost?: ((layer: DiffId) => boolean) | undefined;
  /** Leaves out what other builders wrote. */
  readonly isNew?: boolean;
  readonly form: CacheForm;
  /** Whether a layer that is there may stay in the form that it has. */
  readonly isGoodForm: (blob: Descriptor) => boolean;
  /**
   * Gives layers a form, those of them that can be had: blobs, and where their bytes come from.
   */
  readonly exportLayers: (wanted: readonly DiffId[]) => Promise<{
    readonly layers: ReadonlyMap<DiffId, Descriptor>;
    readonly source: ContentSource;
  }>;
  /** What stands there and is no cache of ours is replaced; here it is told of. */
  readonly onReplaced?: ((reason: unknown) => void) | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  readonly now: () => Date;
  readonly signal?: AbortSignal | undefined;
}

/** What was written. */
export interface WrittenCache {
  readonly root: Descriptor;
  /** False where all of it stood there already. */
  readonly isChanged: boolean;
  readonly copied: { readonly count: number; readonly bytes: number };
}

/**
 * Writes a cache: beside the records of other builders, only blobs that the place lacks, and nothing at all when nothing is
 * new. The manifest is replaced as a whole, so that every reader finds a cache that is whole. Where somebody else replaced
 * it meanwhile, both are put together and written again; an update that is lost all the same loses hits and nothing else.
 * @throws what the place throws, with `details.side`; CACHE_* never
 */
export async function writeCache(request: WriteCacheRequest): Promise<WrittenCache> {
  const { place, signal } = request;
  const copied = { count: 0, bytes: 0 };
  let present = await readPresent(request, request.known);
  let isTrusting = true;
  for (let round = 1; ; round += 1) {
    const standing = isTrusting ? present.standing : undefined;
    const made = await compose(request, standing);
    const { root } = made;
    if (root.digest === standing?.root.digest && standing.isWhole) {
      return { root, isChanged: false, copied };
    }
    try {
      await moveBlobs({ ...request, made, standing, copied });
      const isMine = await place.tagInstead(root, present.root, signal);
      if (await isDone(request, { root, isMine, round })) return { root, isChanged: true, copied };
    } catch (error) {
      // Blobs that the standing manifest lists may be gone all the same: then nothing of it is relied on.
      if (!isTrusting || !isOfSink(error) || signal?.aborted === true) throw error;
      isTrusting = false;
    }
    const pause = Math.min(firstPauseMs * 2 ** (round - 1), longestPauseMs);
    // Whoever else writes is not to come back at the same moment as we do.
    await sleep(pause * (0.5 + Math.random() / 2), undefined, signal && { signal });
    present = await readPresent(request, undefined);
    if (isTrusting && present.standing !== undefined && holds(present.standing, request.records)) {
      return { root: present.standing.root, isChanged: true, copied };
    }
  }
}

function isOfSink(error: unknown): boolean {
  return isTsbuildError(error) && error.details["side"] === "sink";
}

/**
 * Where a place compares for certain, its word is the last one. Else one look is enough where nobody else is at work; where
 * somebody is, the last word is spoken when the others are done, or when patience ends.
 */
async function isDone(
  { place, signal }: WriteCacheRequest,
  made: { readonly root: Descriptor; readonly isMine: boolean; readonly round: number },
): Promise<boolean> {
  const { root, isMine, round } = made;
  if (place.isExact) return isMine || round === maxExactRounds;
  if (round === maxRounds) return true;
  return isMine && round === 1 && (await place.resolve(place.name, signal))?.digest === root.digest;
}

/** After so many others who wrote at the same moment, what they wrote stands. */
const maxRounds = 6;
/** In each of these, one of all who write gets through. */
const maxExactRounds = 60;
const firstPauseMs = 100;
const longestPauseMs = 1500;

/** A manifest that is ready to be moved. */
interface ComposedCache {
  readonly root: Descriptor;
  readonly documents: ReadonlyMap<Digest, Buffer>;
  readonly source: ContentSource;
}

async function compose(
  request: WriteCacheRequest,
  standing: PresentCache | undefined,
): Promise<ComposedCache> {
  const { form, isGoodForm, exportLayers } = request;
  const present = standing?.contents.layers ?? new Map<DiffId, Descriptor>();
  const wanted = layersOf(request.records);
  const exported = await exportLayers(
    wanted.filter((layer) => {
      const blob = present.get(layer);
      return blob === undefined || !isGoodForm(blob);
    }),
  );
  const own = { records: request.records, layers: exported.layers };
  const merged =
    request.isNew === true
      ? { records: own.records, layers: new Map([...present, ...own.layers]) }
      : mergeContents(own, standing?.contents, request.now());
  const bytes = serializeDocument(merged);
  const config = { mediaType: cacheConfigType, digest: digestOf(bytes), size: bytes.length };
  const layers = distinctBlobs(merged, form);
  const manifest = writeManifest(form, { config, layers });
  return {
    root: manifest.root,
    documents: new Map([
      [config.digest, bytes],
      [manifest.root.digest, manifest.bytes],
    ]),
    source: exported.source,
  };
}

function layersOf(records: readonly RemoteRecord[]): readonly DiffId[] {
  return [...new Set(statesOf(records).map(({ diffId }) => diffId))];
}

/** In the order of the states that need them. */
function distinctBlobs({ records, layers }: CacheContents, form: CacheForm): readonly Descriptor[] {
  const blobs = new Map<Digest, Descriptor>();
  for (const { diffId } of statesOf(records)) {
    const blob = layers.get(diffId);
    if (blob !== undefined) blobs.set(blob.digest, withType(blob, form));
  }
  return [...blobs.values()];
}

const layerTypes = {
  oci: { none: mediaTypes.ociLayer, gzip: mediaTypes.ociLayerGzip, zstd: mediaTypes.ociLayerZstd },
  docker: {
    none: mediaTypes.dockerLayer,
    gzip: mediaTypes.dockerLayerGzip,
    zstd: mediaTypes.dockerLayerZstd,
  },
} as const;

function withType({ mediaType, digest, size }: Descriptor, { dockerTypes }: CacheForm): Descriptor {
  const compression = layerCompression(mediaType);
  const types = layerTypes[dockerTypes ? "docker" : "oci"];
  return {
    mediaType: compression === undefined ? mediaType : types[compression],
    ...{ digest, size },
  };
}

async function moveBlobs(
  request: WriteCacheRequest & {
    readonly made: ComposedCache;
    readonly standing: StandingCache | undefined;
    /** What was sent, told on. */
    readonly copied: { count: number; bytes: number };
  },
): Promise<void> {
  const { place, signal, onProgress, made, standing } = request;
  const there = new Set(standing?.blobs.map(({ digest }) => digest));
  const { root } = made;
  const { copied } = await copyGraph({
    source: {
      label: made.source.label,
      fetch: async (descriptor, fetchSignal) => {
        const document = made.documents.get(descriptor.digest);
        if (document !== undefined) return Readable.from([document], { objectMode: false });
        return made.source.fetch(descriptor, fetchSignal);
      },
      resolve: () => Promise.resolve(undefined),
    },
    sink: {
      label: place.label,
      // What a manifest lists that stands there is there: nobody has to ask for each of a thousand layers.
      has: async (descriptor, hasSignal) =>
        there.has(descriptor.digest) || place.has(descriptor, hasSignal),
      push: (descriptor, content, pushSignal) => place.push(descriptor, content, pushSignal),
      tag: (name, descriptor, tagSignal) => place.tag(name, descriptor, tagSignal),
    },
    root,
    onProgress,
    signal,
  });
  request.copied.count += copied.count;
  request.copied.bytes += copied.bytes;
}

/** A cache that stands there, without the layers that are gone. */
interface PresentCache extends StandingCache {
  readonly isWhole: boolean;
}

/** What the name stands for, and the cache that this is, where it is one of ours. */
interface Present {
  readonly root: Descriptor | undefined;
  readonly standing?: PresentCache;
}

async function readPresent(
  request: WriteCacheRequest,
  known: StandingCache | undefined,
): Promise<Present> {
  const { place, signal, now, onReplaced } = request;
  const root = await place.resolve(place.name, signal);
  if (root === undefined) return { root };
  if (known?.config !== undefined && root.digest === known.root.digest) {
    return { root, standing: await withoutLost(known, request) };
  }
  try {
    const standing = await readStandingCache({ source: place, root, now: now(), signal });
    if (standing.config !== undefined) {
      return { root, standing: await withoutLost(standing, request) };
    }
    onReplaced?.(cacheError("CACHE_FOREIGN", "read a cache: it is an image"));
  } catch (error) {
    signal?.throwIfAborted();
    // The next one is whole: what is damaged, or of another tool, goes.
    if (!isUnreadable(error)) throw error;
    onReplaced?.(error);
  }
  return { root };
}

/** Blobs that are asked for at the same time. */
const asksAtOnce = 8;

/** What is gone is sent again by whoever has it: else a cache that has lost a layer would never be whole again. */
async function withoutLost(
  standing: StandingCache,
  { place, isLost, signal }: WriteCacheRequest,
): Promise<PresentCache> {
  const { contents, blobs } = standing;
  const limit = createLimiter(asksAtOnce);
  const gone = new Set<Digest>();
  const ask = async (layer: DiffId, blob: Descriptor): Promise<void> => {
    if (isLost?.(layer) !== true) {
      if (place.keepsWhatIsListed || (await place.has(blob, signal))) return;
    }
    gone.add(blob.digest);
  };
  const asked = [...contents.layers].map(([layer, blob]) => limit(() => ask(layer, blob)));
  await Promise.all(asked);
  const isHere = ({ digest }: Descriptor): boolean => !gone.has(digest);
  return {
    ...standing,
    isWhole: gone.size === 0,
    blobs: blobs.filter(isHere),
    contents: {
      records: contents.records,
      layers: new Map([...contents.layers].filter(([, blob]) => isHere(blob))),
    },
  };
}

function isUnreadable(error: unknown): boolean {
  return (
    isTsbuildError(error) && /^(?:CACHE|IMAGE|DIGEST|SIZE|ARCHIVE)_|_NOT_FOUND$/.test(error.code)
  );
}

function holds({ contents }: StandingCache, records: readonly RemoteRecord[]): boolean {
  const there = new Set(contents.records.map(({ key, state }) => `${key} ${state.chainId}`));
  return records.every(({ key, state }) => there.has(`${key} ${state.chainId}`));
}
