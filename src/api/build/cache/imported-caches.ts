import type { RemoteFinding, RemoteResults, StepLog } from "../../../build/index.ts";
import { readStandingCache, type CachePlace, type StandingCache } from "../../../cache/index.ts";
import { createLimiter, isTsbuildError, type DiffId, type Digest } from "../../../core/index.ts";
import type { PublishedLayer } from "../../../local/index.ts";
import type { Engine } from "../../engine.ts";
import type { CacheSource } from "./cache-spec.ts";
import { describePlace } from "./describe-place.ts";
import { openCachePlace } from "./open-place.ts";

/** Blobs that are asked for at the same time. */
const asksAtOnce = 8;

/** For the small documents of a cache: a build is not to wait for one that is silent. */
const patienceMs = 60_000;

/** A cache that was read, and where. */
interface ImportedCache {
  readonly source: string;
  readonly place: CachePlace;
  readonly standing: StandingCache;
}

/**
 * The caches of `--cache-from`. They are read, all at the same time, when something is first looked for that is not here;
 * one that cannot be read is told as a warning. Whoever makes it closes it.
 */
export class ImportedCaches implements RemoteResults {
  readonly #engine: Engine;
  readonly #steps: StepLog;
  readonly #sources: readonly CacheSource[];
  readonly #places: CachePlace[] = [];
  readonly #lost = new Set<DiffId>();
  readonly #told = new Set<string>();
  #isGivenUp = false;
  #reading: Promise<readonly ImportedCache[]> | undefined;
  #read: readonly ImportedCache[] = [];
  #findings: ReadonlyMap<Digest, readonly RemoteFinding[]> = new Map();

  constructor(options: {
    readonly engine: Engine;
    readonly steps: StepLog;
    readonly sources: readonly CacheSource[];
  }) {
    this.#engine = options.engine;
    this.#steps = options.steps;
    this.#sources = options.sources;
  }

  async lookup(key: Digest): Promise<readonly RemoteFinding[]> {
    await (this.#reading ??= this.#readAll());
    return this.#findings.get(key) ?? [];
  }

  layer(diffId: DiffId): PublishedLayer | undefined {
    if (this.#isGivenUp || this.#lost.has(diffId)) return undefined;
    const known = this.#read.flatMap(({ place, standing }) => {
      const blob = standing.contents.layers.get(diffId);
      return blob === undefined ? [] : [{ blob, location: place.location }];
    });
    const [first] = known;
    if (first === undefined) return undefined;
    const { blob } = first;
    const same = known.filter((each) => each.blob.digest === blob.digest);
    return { ...blob, origins: [...new Set(same.map(({ location }) => location))] };
  }

  /** Those of `layers` that the places turn out not to have, whatever their documents say. */
  async findLost(layers: readonly DiffId[]): Promise<readonly DiffId[]> {
    const limit = createLimiter(asksAtOnce);
    const asked = layers.map((layer) => limit(() => this.#isThere(layer)));
    const found = await Promise.all(asked);
    return layers.filter((_, index) => found[index] === false);
  }

  /** Whether the blob that `layer` tells of is in one of its places. */
  async #isThere(layer: DiffId): Promise<boolean> {
    const { digest } = this.layer(layer) ?? {};
    for (const { place, standing } of this.#read) {
      const blob = standing.contents.layers.get(layer);
      if (blob === undefined || blob.digest !== digest) continue;
      if (place.keepsWhatIsListed) return true;
      const { signal } = this.#engine;
      const isThere = await place.has(blob, signal).catch(() => false);
      signal.throwIfAborted();
      if (isThere) return true;
    }
    return false;
  }

  /** Whether a layer that a cache has promised could not be had. */
  isLost(layer: DiffId): boolean {
    return this.#lost.has(layer);
  }

  refuse({ source }: RemoteFinding, why: string): void {
    this.#warn({
      code: "CACHE_RECORD_REFUSED",
      message: `the cache ${source} has a result that does not fit its step: ${why}`,
      hint: "the step is run; whoever writes to that cache may be mistaken, or mean harm",
    });
  }

  giveUp(layers: readonly DiffId[], cause: unknown): void {
    for (const layer of layers) this.#lost.add(layer);
    this.#warn({
      code: "CACHE_LAYER_LOST",
      message: `layers of a cache could not be had: ${textOf(cause)}`,
      hint: "where their files are needed, the steps that made them run again",
    });
  }

  /** No layer can be had from anywhere any more. */
  giveUpAll(): void {
    this.#isGivenUp = true;
  }

  /** What was read from a place under a name, as it was then. */
  standingIn(place: CachePlace): StandingCache | undefined {
    return this.#read.find(
      (each) => each.place.location === place.location && each.place.name === place.name,
    )?.standing;
  }

  async close(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    for (const place of this.#places) await place.close();
  }

  async #readAll(): Promise<readonly ImportedCache[]> {
    const read = await Promise.all(this.#sources.map((source) => this.#readOne(source)));
    this.#read = read.filter((each) => each !== undefined);
    const findings = new Map<Digest, RemoteFinding[]>();
    for (const { source, standing } of this.#read) {
      for (const record of standing.contents.records) {
        const known = findings.get(record.key) ?? [];
        known.push({ record, source });
        findings.set(record.key, known);
      }
    }
    this.#findings = findings;
    return this.#read;
  }

  async #readOne(spec: CacheSource): Promise<ImportedCache | undefined> {
    const source = describePlace(spec);
    if (spec.type === "unsupported") {
      this.#tellUseless(source, "places of that kind are not known here");
      return undefined;
    }
    const { signal } = this.#engine;
    try {
      return await this.#steps.run(`importing cache manifest from ${source}`, async (step) => {
        // What cannot be had is a warning, and no step that failed.
        const [found] = await Promise.allSettled([this.#readFrom(spec, source)]);
        if (found.status === "fulfilled") {
          const { standing } = found.value;
          const size = standing.root.size + (standing.config?.size ?? 0);
          step.progress({
            ...{ item: "manifest", current: size, total: size, unit: "bytes", done: true },
          });
          return found.value;
        }
        signal.throwIfAborted();
        this.#tellUseless(source, textOf(found.reason));
        return undefined;
      });
    } catch (error) {
      if (signal.aborted || isTsbuildError(error, "CANCELED")) throw error;
      this.#tellUseless(source, textOf(error));
      return undefined;
    }
  }

  async #readFrom(
    spec: Exclude<CacheSource, { readonly type: "unsupported" }>,
    source: string,
  ): Promise<ImportedCache> {
    const { clock } = this.#engine;
    const patience = AbortSignal.timeout(patienceMs);
    const signal = AbortSignal.any([this.#engine.signal, patience]);
    const place = await openCachePlace({ engine: this.#engine, spec, access: "pull" });
    this.#places.push(place);
    try {
      const root = await place.resolve(place.name, signal);
      if (root === undefined) throw new Error("there is no cache of that name");
      const standing = await readStandingCache({ source: place, root, now: clock.now(), signal });
      return { source, place, standing };
    } catch (error) {
      if (!patience.aborted) throw error;
      throw new Error(`it has not answered within ${String(patienceMs / 1000)} s`, {
        cause: error,
      });
    }
  }

  #tellUseless(source: string, why: string): void {
    this.#warn({
      code: "CACHE_NOT_IMPORTED",
      message: `the cache ${source} is of no use: ${why}`,
      hint: "the build goes on without it",
    });
  }

  /** Each text once: a cache may have a thousand records of one kind. */
  #warn(warning: Parameters<StepLog["warn"]>[0]): void {
    const text = `${warning.code} ${warning.message}`;
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#steps.warn(warning);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
