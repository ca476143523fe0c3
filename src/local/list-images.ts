import {
  type ChainId,
  type Digest,
  formatRepository,
  isIndexType,
  parseReference,
} from "../core/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import { isWhole } from "./image-group.ts";
import { layersOf } from "./image-layers.ts";
import { type ImagePlace, loadAllImages, loadImageById } from "./load-image.ts";
import type { LocalImage, LocalImageSummary } from "./types.ts";

/** An image with all names that stand for it. */
export interface NamedImage {
  readonly image: LocalImage;
  readonly names: readonly string[];
  readonly repoDigests: readonly string[];
  /** Names by the index for which they stand, where that shows as one image. */
  readonly indexes: ReadonlyMap<Digest, readonly string[]>;
}

/** A `NamedImage` while its names are found. One image may have thousands. */
interface Gathered {
  image: LocalImage;
  readonly names: Set<string>;
  readonly repoDigests: Set<string>;
  readonly indexes: Map<Digest, Set<string>>;
}

/** Every image that is here: by its names, and those without one by their records. Sorted by ID. */
export async function collectImages(place: ImagePlace): Promise<readonly NamedImage[]> {
  const images = new Map<Digest, Gathered>();
  const include = (
    image: LocalImage,
    told: { readonly name?: string; readonly repoDigest?: string; readonly index?: Digest },
  ): void => {
    const known = images.get(image.id);
    const gathered = known ?? {
      image,
      names: new Set(),
      repoDigests: new Set(),
      indexes: new Map(),
    };
    if (known?.image.manifest === undefined) gathered.image = image;
    images.set(image.id, gathered);
    const { name, repoDigest, index } = told;
    if (name !== undefined) gathered.names.add(name);
    if (repoDigest !== undefined) gathered.repoDigests.add(repoDigest);
    if (index === undefined) return;
    const under = gathered.indexes.get(index) ?? new Set();
    gathered.indexes.set(index, name === undefined ? under : under.add(name));
  };
  for (const { name, descriptor, repoDigest } of await place.store.names.list()) {
    const found = await loadAllImages(place, descriptor);
    const told = {
      name,
      ...(repoDigest && {
        repoDigest: `${formatRepository(parseReference(name))}@${repoDigest}`,
      }),
      ...(isIndexType(descriptor.mediaType) && isWhole(found) && { index: descriptor.digest }),
    };
    for (const image of found) include(image, told);
  }
  for (const id of await place.records.list()) {
    if (images.has(id)) continue;
    const image = await loadImageById(place, id);
    const index = (await place.records.get(id))?.index?.digest;
    if (image !== undefined) include(image, index === undefined ? {} : { index });
  }
  return [...images.values()].map(sorted).sort((a, b) => (a.image.id < b.image.id ? -1 : 1));
}

/** See `LocalImages.list`. */
export async function listImages(
  place: ImagePlace & { readonly snapshots: Snapshotter },
): Promise<readonly LocalImageSummary[]> {
  const sizes = new Map<ChainId, number>();
  for await (const { chainId, tarSize } of place.snapshots.list()) sizes.set(chainId, tarSize);
  const summaries: LocalImageSummary[] = [];
  for (const named of await collectImages(place)) {
    const { image, names, repoDigests } = named;
    const { id, config } = image;
    const { os, architecture, variant, osVersion, osFeatures, created } = config;
    const platform = {
      ...{ os, architecture },
      ...(variant === undefined ? {} : { variant }),
      ...(osVersion === undefined ? {} : { osVersion }),
      ...(osFeatures === undefined ? {} : { osFeatures }),
    };
    let size = 0;
    for (const layer of await layersOf(place.store, image)) {
      size += sizes.get(layer.chainId) ?? layer.published?.size ?? 0;
    }
    const indexes = [...named.indexes].map(([digest, under]) => ({ digest, names: under }));
    summaries.push({ id, names, repoDigests, created, size, platform, indexes });
  }
  return summaries;
}

function sorted({ image, names, repoDigests, indexes }: Gathered): NamedImage {
  return {
    image,
    names: [...names].sort(),
    repoDigests: [...repoDigests].sort(),
    indexes: new Map([...indexes].map(([index, under]) => [index, [...under].sort()])),
  };
}
