import { Readable } from "node:stream";
import {
  type Digest,
  digestOf,
  isConfigType,
  isManifestType,
  layerCompression,
  mediaTypes,
} from "../core/index.ts";
import {
  type ContentSource,
  type Descriptor,
  type Manifest,
  plainDescriptor,
  serializeIndex,
  serializeManifest,
} from "../image/index.ts";
import { type ExportedLayer, exportLayer, type ExportPlace } from "./export-layer.ts";
import { localError } from "./errors.ts";
import { describeMember } from "./image-group.ts";
import { layersOf, manifestOf } from "./image-layers.ts";
import { normaliseName } from "./store-places.ts";
import type { ExportOptions, ImageGroup, LocalImage } from "./types.ts";

/** Content that was made for an export; everything else comes from the store. */
interface Made {
  readonly documents: Map<Digest, Buffer>;
  readonly configs: Map<Digest, Buffer>;
  readonly layers: Map<Digest, ExportedLayer>;
}

/** See `LocalImages.exportGroup`. */
export async function exportGroup(
  place: ExportPlace,
  group: ImageGroup,
  options: ExportOptions,
): Promise<{ readonly root: Descriptor; readonly source: ContentSource }> {
  const made: Made = { documents: new Map(), configs: new Map(), layers: new Map() };
  const manifests: Descriptor[] = [];
  for (const member of group.members) {
    const manifest = await exportOne(place, member.image, { options, made });
    manifests.push(describeMember(manifest, member));
  }
  const [only] = manifests;
  const root =
    group.index === undefined && only !== undefined
      ? plainDescriptor(only)
      : addIndex(manifests, { group, options, made });
  return { root, source: sourceOf(place, group, { root, made }) };
}

/** The index in which they came when nothing about it changes, else a new one. */
function addIndex(
  manifests: readonly Descriptor[],
  request: { readonly group: ImageGroup; readonly options: ExportOptions; readonly made: Made },
): Descriptor {
  const { annotations, original } = request.group.index ?? {};
  const digests = manifests.map(({ digest }) => digest).join();
  if (original !== undefined && original.manifests.join() === digests) return original.root;
  const isDocker = request.options.dockerTypes === true;
  const mediaType = isDocker ? mediaTypes.dockerIndex : mediaTypes.ociIndex;
  const bytes = serializeIndex({ mediaType, manifests, ...(annotations && { annotations }) });
  const digest = digestOf(bytes);
  request.made.documents.set(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

async function exportOne(
  place: ExportPlace,
  image: LocalImage,
  request: { readonly options: ExportOptions; readonly made: Made },
): Promise<Descriptor> {
  const { options, made } = request;
  const exported: ExportedLayer[] = [];
  for (const layer of await layersOf(place.store, image)) {
    options.signal?.throwIfAborted();
    exported.push(await exportLayer(place, layer, options));
  }
  for (const layer of exported) made.layers.set(layer.descriptor.digest, layer);
  made.configs.set(image.id, image.configBytes);
  const docker = options.dockerTypes === true;
  const original = await manifestOf(place.store, image);
  if (image.manifest !== undefined && original !== undefined) {
    const isSame = sameLayers(original, exported) && hasTypes(original, docker, options);
    if (isSame) return image.manifest;
  }
  const layers = exported.map(({ descriptor }) => withType(descriptor, docker));
  const { id: digest, configBytes, annotations } = image;
  const config = {
    mediaType: docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
    ...{ digest, size: configBytes.length },
  };
  const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const bytes = serializeManifest({
    ...{ mediaType, config, layers },
    ...(annotations === undefined ? {} : { annotations }),
  });
  const root = { mediaType, digest: digestOf(bytes), size: bytes.length };
  made.documents.set(root.digest, bytes);
  return root;
}

function sameLayers(manifest: Manifest, exported: readonly ExportedLayer[]): boolean {
  const digests = manifest.layers.map(({ digest }) => digest).join();
  return digests === exported.map(({ descriptor }) => descriptor.digest).join();
}

/** Whether the original serves: always, unless Docker's types are asked for and it has others. */
function hasTypes(manifest: Manifest, docker: boolean, { dockerTypes }: ExportOptions): boolean {
  const isDocker = manifest.mediaType === mediaTypes.dockerManifest;
  return dockerTypes === undefined || isDocker === docker;
}

/** The same layer under the media type of the wanted family. @throws LOCAL_COMPRESSION_UNSUPPORTED */
function withType(descriptor: Descriptor, docker: boolean): Descriptor {
  const { mediaType: _, ...rest } = descriptor;
  switch (layerCompression(descriptor.mediaType)) {
    case "none":
      return { mediaType: docker ? mediaTypes.dockerLayer : mediaTypes.ociLayer, ...rest };
    case "gzip":
      return { mediaType: docker ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip, ...rest };
    case "zstd":
      if (!docker) return { mediaType: mediaTypes.ociLayerZstd, ...rest };
      throw localError("LOCAL_COMPRESSION_UNSUPPORTED", "give a zstd layer a Docker media type", {
        hint: "use OCI media types, or compress with gzip",
        details: { digest: descriptor.digest },
      });
    case undefined:
      return descriptor;
  }
}

function sourceOf(
  place: ExportPlace,
  group: ImageGroup,
  { root, made }: { readonly root: Descriptor; readonly made: Made },
): ContentSource {
  const images = group.members.map(({ image }) => image);
  const known = new Set(
    images.flatMap(({ id, manifest, root: found }) => [
      id,
      ...(manifest === undefined ? [] : [manifest.digest]),
      ...(found === undefined ? [] : [found.digest]),
    ]),
  );
  return {
    label: `local image ${images.map(({ id }) => id).join(" ")}`,
    fetch: async ({ mediaType, digest }, signal) => {
      const document =
        made.documents.get(digest) ??
        (isManifestType(mediaType) ? undefined : made.configs.get(digest));
      if (document !== undefined) return bytesOf(document);
      const layer = isConfigType(mediaType) ? undefined : made.layers.get(digest);
      return layer === undefined ? place.store.blobs.open(digest) : layer.open(signal);
    },
    resolve: async (name) => {
      const record = await place.store.names.get(normaliseName(name));
      return record !== undefined && known.has(record.descriptor.digest) ? root : undefined;
    },
  };
}

function bytesOf(bytes: Buffer): Readable {
  return Readable.from([bytes]);
}
