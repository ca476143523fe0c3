import { Readable } from "node:stream";
import { cacheError, type CachePlace } from "../cache/index.ts";
import { isTsbuildError, skipBytes } from "../core/index.ts";
import type { LayerRequest, PublishedLayer } from "../local/index.ts";
import type { Engine } from "./engine.ts";

/** Places that have layers of steps which other machines ran, each opened when it is first asked. Whoever opens it closes it. */
export interface CachePlaces {
  /** The blob of a layer, or the end of it, from the first place that gives it. @throws CACHE_LAYER_LOST */
  fetch(layer: PublishedLayer, wanted: LayerRequest): Promise<Readable>;
  close(): Promise<void>;
}

export function openCachePlaces(engine: Engine): CachePlaces {
  return new Places(engine);
}

class Places implements CachePlaces {
  readonly #engine: Engine;
  readonly #opened = new Map<string, Promise<CachePlace>>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async fetch(layer: PublishedLayer, wanted: LayerRequest): Promise<Readable> {
    const { offset = 0, signal } = wanted;
    const { origins = [], digest } = layer;
    let cause: unknown;
    for (const location of origins) {
      try {
        const place = await this.#open(location);
        return await fetchBehind({ place, layer, offset, signal });
      } catch (error) {
        if (signal?.aborted === true || isTsbuildError(error, "CANCELED")) throw error;
        cause ??= error;
      }
    }
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    throw cacheError("CACHE_LAYER_LOST", `fetch layer ${digest} from a cache${reason}`, {
      hint: "build the image again: without that layer its steps run",
      details: { layer: digest, places: origins },
      cause,
    });
  }

  async close(): Promise<void> {
    for (const opened of this.#opened.values()) {
      // Those that could not be opened are nothing to close.
      const place = await opened.catch(() => undefined);
      await place?.close();
    }
  }

  #open(location: string): Promise<CachePlace> {
    let opened = this.#opened.get(location);
    if (opened === undefined) {
      opened = this.#openNew(location);
      this.#opened.set(location, opened);
    }
    return opened;
  }

  async #openNew(location: string): Promise<CachePlace> {
    const { openLocation } = await import("./build/cache/open-place.ts");
    return openLocation(this.#engine, location);
  }
}

/** A directory gives only wholes, which costs no network. */
async function fetchBehind(request: {
  readonly place: CachePlace;
  readonly layer: PublishedLayer;
  readonly offset: number;
  readonly signal: AbortSignal | undefined;
}): Promise<Readable> {
  const { place, layer, offset, signal } = request;
  if (offset === 0) return place.fetch(layer, signal);
  if (place.fetchFrom !== undefined) return place.fetchFrom(layer, offset, signal);
  const whole = await place.fetch(layer, signal);
  const rest = Readable.from(skipBytes(whole, offset), { objectMode: false });
  return rest.once("close", () => whole.destroy());
}
