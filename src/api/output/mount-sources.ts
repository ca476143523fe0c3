import { isIndexType, parseReference, type Digest, type DiffId } from "../../core/index.ts";
import {
  listRunnable,
  maxManifestSize,
  parseIndex,
  readContent,
  readImage,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import type { Engine } from "../engine.ts";

/** An image on its way out, as its registry will have it. */
export interface LeavingImage {
  readonly root: Descriptor;
  readonly source: ContentSource;
}

/** See `openEarlyUploads`. */
export function openMountSources(engine: Engine): MountSources {
  return new MountSources(engine);
}

/**
 * Knows in which repositories layers are that leave: those that images of the store came from or went to. A registry
 * then links the layer instead of taking it once more. It is no proof: the layer may be there in another compression.
 */
export class MountSources {
  readonly #engine: Engine;
  #leaving: LeavingImage | undefined;
  #layers: Promise<ReadonlyMap<Digest, DiffId>> | undefined;
  #records: Promise<readonly KnownImage[]> | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Says what leaves; nothing is known before. */
  take(image: LeavingImage): void {
    this.#leaving = image;
    this.#layers = undefined;
  }

  /** Repositories of `domain` that are likely to have this layer. */
  async find(domain: string, { digest }: Descriptor): Promise<readonly string[]> {
    if (this.#leaving === undefined) return [];
    this.#layers ??= readLayers(this.#leaving, this.#engine.signal);
    const diffId = (await this.#layers).get(digest);
    if (diffId === undefined) return [];
    const known = await this.#repositoriesWith(domain, diffId);
    return [...(await this.#cachesWith(domain, { diffId, digest })), ...known];
  }

  /** Whether a repository of `domain` is likely to have it. */
  async isKnown(domain: string, layer: DiffId): Promise<boolean> {
    return (await this.#repositoriesWith(domain, layer)).length > 0;
  }

  /** Repositories with a cache of another machine that this blob was promised by. */
  async #cachesWith(
    domain: string,
    { diffId, digest }: { readonly diffId: DiffId; readonly digest: Digest },
  ): Promise<readonly string[]> {
    const origins = await this.#engine.store.layerOrigins.get(diffId);
    return origins.flatMap(({ blob, place }) => {
      const ref = /^type=registry,ref=([^,]+)/.exec(place)?.[1];
      if (blob.digest !== digest || ref === undefined) return [];
      const reference = parseReference(ref);
      return reference.domain === domain ? [reference.path] : [];
    });
  }

  async #repositoriesWith(domain: string, layer: DiffId): Promise<readonly string[]> {
    this.#records ??= listKnown(this.#engine);
    return (await this.#records)
      .filter((image) => image.domain === domain && image.diffIds.has(layer))
      .map(({ path }) => path);
  }
}

interface KnownImage {
  readonly domain: string;
  readonly path: string;
  readonly diffIds: ReadonlySet<DiffId>;
}

async function readLayers(
  leaving: LeavingImage,
  signal: AbortSignal,
): Promise<ReadonlyMap<Digest, DiffId>> {
  const found = new Map<Digest, DiffId>();
  for (const root of await listManifests(leaving, signal)) {
    const { manifest, config } = await readImage({ ...leaving, root, signal });
    manifest.layers.forEach(({ digest }, index) => {
      const diffId = config.diffIds[index];
      if (diffId !== undefined) found.set(digest, diffId);
    });
  }
  return found;
}

async function listManifests(
  { root, source }: LeavingImage,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  if (!isIndexType(root.mediaType)) return [root];
  const bytes = await readContent({ source, descriptor: root, limit: maxManifestSize, signal });
  return listRunnable(parseIndex(bytes, root.mediaType));
}

async function listKnown({ store, images }: Engine): Promise<readonly KnownImage[]> {
  const known: KnownImage[] = [];
  for (const { name, repoDigest } of await store.names.list()) {
    if (repoDigest === undefined) continue;
    const image = await images.find(name);
    const { domain, path } = parseReference(name);
    const diffIds = new Set(image?.config.diffIds);
    known.push({ domain, path, diffIds });
  }
  return known;
}
