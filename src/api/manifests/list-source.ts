import type { Readable } from "node:stream";
import { isManifestType, isTsbuildError, mediaTypes, type Digest } from "../../core/index.ts";
import {
  maxManifestSize,
  parseManifest,
  serializeIndex,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import type { FetchLayer, ListedImage, ManifestList } from "../../local/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { OverlaySource } from "../places/overlay-source.ts";
import { Repositories } from "../repositories.ts";

/** A list as an image that can be copied. Whoever opens it closes it. */
export interface OpenedList {
  readonly source: ContentSource;
  /** The index: Docker's type where every image of it is of Docker's types, and nothing is annotated. */
  readonly root: Descriptor;
  /** Repositories that images of the list were found in, of those that have this blob: full names. */
  repositoriesOf(digest: Digest): readonly string[];
  close(): Promise<void>;
}

/** Content comes out of the store, and what is not there from the repository that each image was found in. */
export async function openList(
  engine: Engine,
  list: ManifestList,
  { insecure }: { readonly insecure?: boolean | undefined },
): Promise<OpenedList> {
  const bases = new BaseImages(engine, { pull: false });
  const repositories = new Repositories(engine, { insecure });
  const owners = new Map<Digest, FetchLayer>();
  const whereabouts = new Map<Digest, Set<string>>();
  for (const image of list.images) {
    const { repository } = image;
    const blobs = await blobsOf(engine, image);
    const fetchFrom: FetchLayer | undefined =
      repository === undefined
        ? await fetchLocal(engine, image, bases)
        : async (descriptor, { signal }) =>
            (await repositories.open(repository)).fetch(descriptor, signal);
    for (const { digest } of blobs) {
      if (fetchFrom !== undefined) owners.set(digest, fetchFrom);
      if (repository === undefined) continue;
      whereabouts.set(digest, (whereabouts.get(digest) ?? new Set()).add(repository));
    }
  }
  const stored = engine.images.source();
  const source = new OverlaySource({
    label: `manifest list ${list.name}`,
    resolve: () => Promise.resolve(undefined),
    fetch: async (descriptor: Descriptor, signal?: AbortSignal): Promise<Readable> => {
      const owner = owners.get(descriptor.digest);
      const isHere = (await engine.store.blobs.size(descriptor.digest)) === descriptor.size;
      return isHere || owner === undefined
        ? stored.fetch(descriptor, signal)
        : owner(descriptor, { signal });
    },
  });
  const { mediaType, bytes } = writeIndex(list);
  return {
    source,
    root: source.add(mediaType, bytes),
    repositoriesOf: (digest) => [...(whereabouts.get(digest) ?? [])],
    close: async () => {
      await bases.close();
      await repositories.close();
    },
  };
}

/** The index document of a list. */
export function writeIndex({ images, annotations }: ManifestList): {
  readonly mediaType: string;
  readonly bytes: Buffer;
} {
  const manifests = images.map(({ descriptor }) => descriptor);
  const isDocker =
    manifests.length > 0 &&
    annotations === undefined &&
    manifests.every((each) => each.mediaType === mediaTypes.dockerManifest && !each.annotations);
  const mediaType = isDocker ? mediaTypes.dockerIndex : mediaTypes.ociIndex;
  const bytes = serializeIndex({ mediaType, manifests, ...(annotations && { annotations }) });
  return { mediaType, bytes };
}

/** Layers of an image that was built here on one that never came as a whole. */
async function fetchLocal(
  engine: Engine,
  image: ListedImage,
  bases: BaseImages,
): Promise<FetchLayer | undefined> {
  const [config] = await blobsOf(engine, image);
  const found = config === undefined ? undefined : await engine.images.find(config.digest);
  return found === undefined ? undefined : bases.layersOf(found);
}

/** Config first. Empty where the manifest is gone, which copying it will tell. */
async function blobsOf(
  engine: Engine,
  { descriptor }: ListedImage,
): Promise<readonly Descriptor[]> {
  if (!isManifestType(descriptor.mediaType)) return [];
  try {
    const bytes = await engine.store.blobs.read(descriptor.digest, maxManifestSize);
    const { config, layers } = parseManifest(bytes, descriptor.mediaType);
    return [config, ...layers];
  } catch (error) {
    if (isTsbuildError(error, "STORE_BLOB_NOT_FOUND")) return [];
    throw error;
  }
}
