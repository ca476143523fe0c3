import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createLimiter,
  digestOf,
  isTsbuildError,
  layerCompression,
  mediaTypes,
  monotonicMs,
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
import { countKeys, maxStatesOfKey, mergeContents } from "./merge.ts";
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
  readonly isGoodForm: (layer: DiffId, blob: Descriptor) => boolean | Promise<boolean>;
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
  /** Waits; by the clock unless told otherwise. */
  readonly pause?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** What was written. */
export interface WrittenCache {
  readonly root: Descriptor;
  /** Whether it stands there, as far as anybody can know: false when others wrote all the time. */
  readonly isKept: boolean;
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
  const { signal, pause = sleepFor } = request;
  const copied = { count: 0, bytes: 0 };
  const exportLayers = exportingOnce(request.exportLayers);
  let present = await readPresent(request, request.known);
  /** A manifest that lists blobs which are gone. */
  let distrusted: Digest | undefined;
  let [doubts, failures] = [0, 0];
  for (let round = 1; ; round += 1) {
    const isTrusted = present.root === undefined || present.root.digest !== distrusted;
    const standing = isTrusted ? present.standing : undefined;
    const made = await compose({ ...request, exportLayers }, standing);
    const { root } = made;
    if (root.digest === standing?.root.digest && standing.isWhole) {
      return { root, isKept: true, isChanged: false, copied };
    }
    try {
      await moveBlobs({ ...request, made, standing, copied });
      const named = await nameIt(request, { root, before: present.root, isAlone: round === 1 });
      if (named === "kept" || (named === "written" && ++doubts === maxDoubts)) {
        return { root, isKept: named === "kept", isChanged: true, copied };
      }
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures > maxFailures || !isOfSink(error) || signal?.aborted === true) throw error;
      // Once it may be a moment's matter, as when others send the same blob. Else blobs that the standing manifest lists may
      // be gone all the same: then nothing of it is relied on.
      if (failures > 1) distrusted = present.root?.digest;
    }
    const longest = Math.min(firstPauseMs * 2 ** (round - 1), longestPauseMs);
    // Whoever else writes is not to come back at the same moment as we do.
    await pause(longest * (0.2 + 0.8 * Math.random()), signal);
    present = await readPresent(request, undefined);
    const { standing: found } = present;
    const isKept =
      failures === 0 &&
      found !== undefined &&
      found.root.digest !== distrusted &&
      holds(found, request.records);
    if (isKept || round >= maxRounds) {
      return { root: found?.root ?? root, isKept, isChanged: true, copied };
    }
  }
}

function isOfSink(error: unknown): boolean {
  return isTsbuildError(error) && error.details["side"] === "sink";
}

/** Whether an update is there for certain, or was written and perhaps replaced by now, or did not get in. */
type Naming = "kept" | "written" | "refused";

/**
 * That somebody else was faster is certain wherever it is told. That nobody was is certain only where the place compares and
 * replaces in one: elsewhere another builder may have looked before we wrote, and write now. It needs about as long for
 * that as we did; whoever seems to be alone looks once more after that time.
 */
async function nameIt(
  { place, signal, pause = sleepFor }: WriteCacheRequest,
  update: {
    readonly root: Descriptor;
    readonly before: Descriptor | undefined;
    readonly isAlone: boolean;
  },
): Promise<Naming> {
  const { root, before, isAlone } = update;
  const started = monotonicMs();
  if (!(await place.tagInstead(root, before, signal))) return "refused";
  if (place.isExact) return "kept";
  if (!isAlone) return "written";
  await pause(Math.min(monotonicMs() - started, longestPauseMs), signal);
  return (await place.resolve(place.name, signal))?.digest === root.digest ? "kept" : "written";
}

async function sleepFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal && { signal });
}

/** So often it may have to be seen that somebody replaced what was written; then what stands there stands. */
const maxDoubts = 12;
/** One after the other. */
const maxFailures = 3;
/** In each of these, one of all who write gets through. */
const maxRounds = 60;
const firstPauseMs = 100;
const longestPauseMs = 1500;

/** Gives each layer its form once, however often the document is made anew. */
function exportingOnce(
  exportLayers: WriteCacheRequest["exportLayers"],
): WriteCacheRequest["exportLayers"] {
  const layers = new Map<DiffId, Descriptor>();
  const sources = new Map<Digest, ContentSource>();
  let label = "the layers of the build";
  return async (wanted) => {
    const more = await exportLayers(wanted.filter((layer) => !layers.has(layer)));
    ({ label } = more.source);
    for (const [layer, blob] of more.layers) {
      layers.set(layer, blob);
      sources.set(blob.digest, more.source);
    }
    const asked = new Set(wanted);
    return {
      layers: new Map([...layers].filter(([layer]) => asked.has(layer))),
      source: {
        label,
        fetch: (blob, signal) => (sources.get(blob.digest) ?? more.source).fetch(blob, signal),
        resolve: () => Promise.resolve(undefined),
      },
    };
  };
}

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
  const missing: DiffId[] = [];
  for (const layer of wanted) {
    const blob = present.get(layer);
    if (blob === undefined || !(await isGoodForm(layer, blob))) missing.push(layer);
  }
  const exported = await exportLayers(missing);
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

/** Whether others would find what these records tell: where a key has as many results as it may, one of those does as well. */
function holds({ contents }: StandingCache, records: readonly RemoteRecord[]): boolean {
  const there = new Set(contents.records.map(({ key, state }) => `${key} ${state.chainId}`));
  const counts = countKeys(contents.records);
  return records.every(
    ({ key, state }) =>
      there.has(`${key} ${state.chainId}`) || (counts.get(key) ?? 0) >= maxStatesOfKey,
  );
}
