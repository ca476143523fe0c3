import type { Readable } from "node:stream";
import {
  isManifestType,
  isTsbuildError,
  mediaTypes,
  parseReference,
  type Digest,
} from "../../core/index.ts";
import {
  maxManifestSize,
  parseManifest,
  serializeIndex,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import type { FetchLayer, ListedImage, ManifestList } from "../../local/index.ts";
import type { RegistryRepository } from "../../registry/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { openRepository } from "../open-repository.ts";
import { OverlaySource } from "../places/overlay-source.ts";

/** A list as an image that can be copied. Whoever opens it closes it. */
export interface OpenedList {
  readonly source: ContentSource;
  /** The index: Docker's type where every image of it is of Docker's types, and nothing is annotated. */
  readonly root: Descriptor;
  close(): Promise<void>;
}

/** Content comes out of the store, and what is not there from the repository that each image was found in. */
export async function openList(
  engine: Engine,
  list: ManifestList,
  { insecure = false }: { readonly insecure?: boolean | undefined },
): Promise<OpenedList> {
  const bases = new BaseImages(engine, { pull: false });
  const repositories = new Map<string, Promise<RegistryRepository>>();
  const repositoryOf = (name: string): Promise<RegistryRepository> => {
    const reference = parseReference(name);
    const known =
      repositories.get(name) ?? openRepository(engine, { reference, access: "pull", insecure });
    repositories.set(name, known);
    return known;
  };
  const owners = new Map<Digest, FetchLayer>();
  for (const image of list.images) {
    const { repository } = image;
    const fetchFrom: FetchLayer | undefined =
      repository === undefined
        ? await fetchLocal(engine, image, bases)
        : async (descriptor, signal) => (await repositoryOf(repository)).fetch(descriptor, signal);
    if (fetchFrom === undefined) continue;
    for (const { digest } of await blobsOf(engine, image)) owners.set(digest, fetchFrom);
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
        : owner(descriptor, signal);
    },
  });
  const { mediaType, bytes } = writeIndex(list);
  return {
    source,
    root: source.add(mediaType, bytes),
    close: async () => {
      await bases.close();
      for (const repository of repositories.values()) await (await repository).close();
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
