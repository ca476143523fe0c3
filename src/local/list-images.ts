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

/** Every image that is here: by its names, and those without one by their records. Sorted by ID. */
export async function collectImages(place: ImagePlace): Promise<readonly NamedImage[]> {
  const images = new Map<Digest, NamedImage>();
  const include = (
    image: LocalImage,
    told: {
      readonly names: readonly string[];
      readonly repoDigests?: readonly string[];
      readonly index?: Digest | undefined;
    },
  ): void => {
    const { names, repoDigests = [], index } = told;
    const known = images.get(image.id);
    const indexes = new Map(known?.indexes);
    if (index !== undefined) indexes.set(index, merge(indexes.get(index), names));
    images.set(image.id, {
      image: known?.image.manifest === undefined ? image : known.image,
      names: merge(known?.names, names),
      repoDigests: merge(known?.repoDigests, repoDigests),
      indexes,
    });
  };
  for (const { name, descriptor, repoDigest } of await place.store.names.list()) {
    const repository = formatRepository(parseReference(name));
    const repoDigests = repoDigest === undefined ? [] : [`${repository}@${repoDigest}`];
    const found = await loadAllImages(place, descriptor);
    const index =
      isIndexType(descriptor.mediaType) && isWhole(found) ? descriptor.digest : undefined;
    for (const image of found) include(image, { names: [name], repoDigests, index });
  }
  for (const id of await place.records.list()) {
    if (images.has(id)) continue;
    const image = await loadImageById(place, id);
    const index = (await place.records.get(id))?.index?.digest;
    if (image !== undefined) include(image, { names: [], index });
  }
  return [...images.values()].sort((a, b) => (a.image.id < b.image.id ? -1 : 1));
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

function merge(known: readonly string[] | undefined, more: readonly string[]): readonly string[] {
  return [...new Set([...(known ?? []), ...more])].sort();
}
