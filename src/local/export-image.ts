import {
  type Digest,
  digestOf,
  isConfigType,
  isManifestType,
  layerCompression,
  mediaTypes,
} from "../core/index.ts";
import { Readable } from "node:stream";
import {
  type ContentSource,
  type Descriptor,
  type Manifest,
  serializeManifest,
} from "../image/index.ts";
import { type ExportedLayer, exportLayer, type ExportPlace } from "./export-layer.ts";
import { localError } from "./errors.ts";
import { layersOf, manifestOf } from "./image-layers.ts";
import { normaliseName } from "./store-places.ts";
import type { ExportOptions, LocalImage } from "./types.ts";

/** See `LocalImages.exportImage`. */
export async function exportImage(
  place: ExportPlace,
  image: LocalImage,
  options: ExportOptions,
): Promise<{ readonly root: Descriptor; readonly source: ContentSource }> {
  const exported: ExportedLayer[] = [];
  for (const layer of await layersOf(place.store, image)) {
    options.signal?.throwIfAborted();
    exported.push(await exportLayer(place, layer, options));
  }
  const docker = options.dockerTypes === true;
  const original = await manifestOf(place.store, image);
  if (image.manifest !== undefined && original !== undefined) {
    const isSame = sameLayers(original, exported) && hasTypes(original, docker, options);
    if (isSame) return { root: image.manifest, source: sourceOf(place, image, { exported }) };
  }
  const layers = exported.map(({ descriptor }) => withType(descriptor, docker));
  const { id: digest, configBytes } = image;
  const config = {
    mediaType: docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
    ...{ digest, size: configBytes.length },
  };
  const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  const bytes = serializeManifest({ mediaType, config, layers });
  const root = { mediaType, digest: digestOf(bytes), size: bytes.length };
  return { root, source: sourceOf(place, image, { exported, manifest: { root, bytes } }) };
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
  image: LocalImage,
  made: {
    readonly exported: readonly ExportedLayer[];
    readonly manifest?: { readonly root: Descriptor; readonly bytes: Buffer };
  },
): ContentSource {
  const layers = new Map<Digest, ExportedLayer>();
  for (const layer of made.exported) layers.set(layer.descriptor.digest, layer);
  const root = made.manifest?.root ?? image.manifest;
  return {
    label: `local image ${image.id}`,
    fetch: async ({ mediaType, digest }, signal) => {
      if (digest === made.manifest?.root.digest) return bytesOf(made.manifest.bytes);
      if (digest === image.id && !isManifestType(mediaType)) return bytesOf(image.configBytes);
      const layer = isConfigType(mediaType) ? undefined : layers.get(digest);
      return layer === undefined ? place.store.blobs.open(digest) : layer.open(signal);
    },
    resolve: async (name) => {
      const record = await place.store.names.get(normaliseName(name));
      const { descriptor } = record ?? {};
      const known = [image.id, image.manifest?.digest, image.root?.digest];
      return descriptor !== undefined && known.includes(descriptor.digest) ? root : undefined;
    },
  };
}

function bytesOf(bytes: Buffer): Readable {
  return Readable.from([bytes]);
}
