import { type ChainId, type Digest, formatRepository, parseReference } from "../core/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import { layersOf } from "./image-layers.ts";
import { type ImagePlace, loadAllImages, loadImageById } from "./load-image.ts";
import type { LocalImage, LocalImageSummary } from "./types.ts";

/** An image with all names that stand for it. */
export interface NamedImage {
  readonly image: LocalImage;
  readonly names: readonly string[];
  readonly repoDigests: readonly string[];
}

/** Every image that is here: by its names, and those without one by their records. Sorted by ID. */
export async function collectImages(place: ImagePlace): Promise<readonly NamedImage[]> {
  const images = new Map<Digest, NamedImage>();
  const include = (
    image: LocalImage,
    names: readonly string[],
    repoDigests: readonly string[],
  ): void => {
    const known = images.get(image.id);
    images.set(image.id, {
      image: known?.image.manifest === undefined ? image : known.image,
      names: merge(known?.names, names),
      repoDigests: merge(known?.repoDigests, repoDigests),
    });
  };
  for (const { name, descriptor, repoDigest } of await place.store.names.list()) {
    const repository = formatRepository(parseReference(name));
    const digests = repoDigest === undefined ? [] : [`${repository}@${repoDigest}`];
    for (const image of await loadAllImages(place, descriptor)) include(image, [name], digests);
  }
  for (const id of await place.records.list()) {
    if (images.has(id)) continue;
    const image = await loadImageById(place, id);
    if (image !== undefined) include(image, [], []);
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
  for (const { image, names, repoDigests } of await collectImages(place)) {
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
    summaries.push({ id, names, repoDigests, created, size, platform });
  }
  return summaries;
}

function merge(known: readonly string[] | undefined, more: readonly string[]): readonly string[] {
  return [...new Set([...(known ?? []), ...more])].sort();
}
