import { layerCompression, mediaTypes } from "../core/index.ts";
import { withoutUndefined } from "./descriptor.ts";
import { imageError } from "./errors.ts";
import type { Descriptor, Index, Manifest } from "./types.ts";

/** The two families of media types for the same documents. */
export type ManifestFormat = "oci" | "docker";

/** A document in the other family's types, and what of it had no place there. */
export interface Converted<T> {
  readonly document: T;
  /** Such as `annotations`; empty when nothing was lost. */
  readonly lost: readonly string[];
}

/** Docker's type for each of OCI's, layers and configs. */
const dockerTypes: ReadonlyMap<string, string> = new Map([
  [mediaTypes.ociIndex, mediaTypes.dockerIndex],
  [mediaTypes.ociManifest, mediaTypes.dockerManifest],
  [mediaTypes.ociConfig, mediaTypes.dockerConfig],
  [mediaTypes.ociLayer, mediaTypes.dockerLayer],
  [mediaTypes.ociLayerGzip, mediaTypes.dockerLayerGzip],
  [
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  ],
  [
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
  ],
]);

const ociTypes: ReadonlyMap<string, string> = new Map([
  ...Array.from(dockerTypes, ([oci, docker]) => [docker, oci] as const),
  [mediaTypes.dockerLayerZstd, mediaTypes.ociLayerZstd],
]);

/** Whether a document or a blob of this type has a place in a format as it is. */
export function isOfFormat(mediaType: string, format: ManifestFormat): boolean {
  return format === "docker" ? ociTypes.has(mediaType) : !ociTypes.has(mediaType);
}

/**
 * The same image under the media types of the other family. Config and layers stay the same bytes, so that the image
 * keeps its ID; the manifest is another one.
 * @throws IMAGE_UNCONVERTIBLE for what the other family has no type for: artifacts, layers compressed with zstd
 */
export function convertManifest(manifest: Manifest, format: ManifestFormat): Converted<Manifest> {
  const document = {
    ...manifest,
    mediaType: convertType(manifest.mediaType, format),
    config: convertDescriptor(manifest.config, format),
    layers: manifest.layers.map((layer) => convertDescriptor(layer, format)),
  };
  return format === "docker" ? withoutOciFields(document) : { document, lost: [] };
}

/**
 * The same list under the other media type. `entries` are its images, converted before.
 * @throws IMAGE_UNCONVERTIBLE
 */
export function convertIndex(
  index: Index,
  entries: readonly Descriptor[],
  format: ManifestFormat,
): Converted<Index> {
  const document = {
    ...index,
    mediaType: convertType(index.mediaType, format),
    manifests: entries.map((entry) => withoutEntryFields(entry, format)),
  };
  return format === "docker" ? withoutOciFields(document) : { document, lost: [] };
}

function withoutOciFields<T extends Manifest | Index>(document: T): Converted<T> {
  const { annotations, subject, artifactType, ...rest } = document;
  const fields = withoutUndefined({ annotations, subject, artifactType });
  return { document: rest as T, lost: Object.keys(fields) };
}

function withoutEntryFields(entry: Descriptor, format: ManifestFormat): Descriptor {
  const { annotations: _annotations, artifactType: _artifactType, data: _data, ...rest } = entry;
  return format === "docker" ? rest : entry;
}

function convertDescriptor(descriptor: Descriptor, format: ManifestFormat): Descriptor {
  const converted = { ...descriptor, mediaType: convertType(descriptor.mediaType, format) };
  return withoutEntryFields(converted, format);
}

function convertType(mediaType: string, format: ManifestFormat): string {
  const [wanted, other] = format === "docker" ? [dockerTypes, ociTypes] : [ociTypes, dockerTypes];
  const found = wanted.get(mediaType);
  if (found !== undefined) return found;
  // OCI manifests may hold anything; a list of Docker's may not.
  if (format === "oci" || other.has(mediaType)) return mediaType;
  throw imageError("IMAGE_UNCONVERTIBLE", `write ${mediaType} in Docker's format`, {
    hint:
      layerCompression(mediaType) === "zstd"
        ? "Docker's format has no type for zstd: compress the layers with gzip, or keep the OCI format"
        : "Docker's format has no type for it: keep the OCI format",
    details: { mediaType },
  });
}
