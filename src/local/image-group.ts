import { type Digest, digestOf, isIndexType, mediaTypes, type Platform } from "../core/index.ts";
import {
  type Descriptor,
  parseIndex,
  parseImageConfig,
  maxManifestSize,
  serializeIndex,
  serializeManifest,
} from "../image/index.ts";
import { configDescriptor, type ImagePlace, loadIndexImages } from "./load-image.ts";
import type { ImageGroup, LocalImage } from "./types.ts";

type Annotations = Readonly<Record<string, string>>;

/** See `LocalImages.prepare`. */
export async function prepareImage(
  { records }: Pick<ImagePlace, "records">,
  request: {
    readonly configBytes: Buffer;
    readonly base?: Digest | undefined;
    readonly annotations?: Annotations | undefined;
  },
): Promise<LocalImage> {
  const { configBytes, annotations } = request;
  const built = request.base === undefined ? undefined : await records.get(request.base);
  // Of an image that was itself built here, what it was built on.
  const base = built?.manifest ?? built?.base;
  return {
    id: digestOf(configBytes),
    config: parseImageConfig(configBytes),
    configBytes,
    ...(base === undefined ? {} : { base }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/**
 * The group that a found image is, or is one of: all images of its index that are here where that index was built here
 * or has several of them, else the image alone.
 */
export async function groupOf(place: ImagePlace, image: LocalImage): Promise<ImageGroup> {
  const { root } = image;
  if (root === undefined || !isIndexType(root.mediaType)) return { members: [{ image }] };
  const found = await loadIndexImages(place, root);
  const bytes = await place.store.blobs.read(root.digest, maxManifestSize);
  const { annotations, manifests } = parseIndex(bytes, root.mediaType);
  const here = new Set(found.map(({ descriptor }) => descriptor.digest));
  const missing = manifests.filter(({ digest }) => !here.has(digest));
  const rest = missing.length === 0 ? {} : { missing };
  if (!isWhole(found.map((each) => each.image))) return { members: [{ image }], ...rest };
  const original = { root, manifests: manifests.map(({ digest }) => digest) };
  return {
    ...rest,
    members: found.map(({ image: member, descriptor }) => ({
      image: member,
      ...(descriptor.platform === undefined ? {} : { platform: descriptor.platform }),
      ...(descriptor.annotations === undefined ? {} : { annotations: descriptor.annotations }),
    })),
    index: { original, ...(annotations === undefined ? {} : { annotations }) },
  };
}

/** Whether the images of an index that are here stand together: built here, or several. */
export function isWhole(images: readonly LocalImage[]): boolean {
  return images.length > 1 || images.some(({ manifest }) => manifest === undefined);
}

/**
 * What a group's name stands for: the config of a lone image; else documents in which layers have no form yet. A draft
 * is a manifest that lists no layers although its config has some: the layers are compressed when the image leaves.
 */
export function describeGroup(group: ImageGroup): {
  readonly root: Descriptor;
  /** In the order in which they are to be written. */
  readonly documents: readonly Buffer[];
} {
  const [first] = group.members;
  if (group.index === undefined && first !== undefined && !isAnnotated(first.image)) {
    return { root: configDescriptor(first.image), documents: [first.image.configBytes] };
  }
  const documents: Buffer[] = [];
  const add = (mediaType: string, bytes: Buffer): Descriptor => {
    documents.push(bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const manifests = group.members.map(({ image, platform, annotations }) => {
    documents.push(image.configBytes);
    const draft = serializeManifest({
      mediaType: mediaTypes.ociManifest,
      config: configDescriptor(image),
      layers: [],
      ...(image.annotations === undefined ? {} : { annotations: image.annotations }),
    });
    return describeMember(add(mediaTypes.ociManifest, draft), { platform, annotations });
  });
  const [only] = manifests;
  if (group.index === undefined && only !== undefined) return { root: only, documents };
  const mediaType = mediaTypes.ociIndex;
  const { annotations } = group.index ?? {};
  const index = serializeIndex({ mediaType, manifests, ...(annotations && { annotations }) });
  return { root: add(mediaType, index), documents };
}

/** What people know the images by: the config's digest of a lone one, the index' digest of several. */
export function idOf(group: ImageGroup): Digest {
  const [first] = group.members;
  const { original } = group.index ?? {};
  if (original !== undefined) return original.root.digest;
  if (group.index === undefined && first !== undefined) return first.image.id;
  return describeGroup(group).root.digest;
}

/** A manifest's descriptor as an entry of an index. */
export function describeMember(
  descriptor: Descriptor,
  member: {
    readonly platform?: Platform | undefined;
    readonly annotations?: Annotations | undefined;
  },
): Descriptor {
  const { mediaType, digest, size } = descriptor;
  const { platform, annotations = {} } = member;
  return {
    ...{ mediaType, digest, size },
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
  };
}

function isAnnotated({ annotations = {} }: LocalImage): boolean {
  return Object.keys(annotations).length > 0;
}
