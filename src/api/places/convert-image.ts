import { isIndexType, isManifestType } from "../../core/index.ts";
import {
  convertIndex,
  convertManifest,
  isOfFormat,
  maxManifestSize,
  parseManifestOrIndex,
  readContent,
  serializeIndex,
  serializeManifest,
  type ContentSource,
  type Descriptor,
  type ManifestFormat,
} from "../../image/index.ts";
import { OverlaySource } from "./overlay-source.ts";

export interface ConvertedImage {
  readonly source: ContentSource;
  readonly root: Descriptor;
  /** What had no place in the format, such as `annotations`. */
  readonly lost: readonly string[];
}

/**
 * An image, or an index with everything in it, in the types of a format. What is of that format already stays the same
 * bytes. Attestations, which are no images, are left out of Docker's format.
 * @throws IMAGE_UNCONVERTIBLE, IMAGE_INVALID, and what the source throws
 */
export async function convertImage(request: {
  readonly source: ContentSource;
  readonly root: Descriptor;
  readonly format: ManifestFormat;
  readonly signal: AbortSignal;
}): Promise<ConvertedImage> {
  const source = new OverlaySource(request.source);
  const lost = new Set<string>();
  const root = await convert(request.root, { ...request, source, lost });
  return { source, root, lost: [...lost] };
}

interface Conversion {
  readonly source: OverlaySource;
  readonly format: ManifestFormat;
  readonly lost: Set<string>;
  readonly signal: AbortSignal;
}

async function convert(descriptor: Descriptor, conversion: Conversion): Promise<Descriptor> {
  const { source, format, lost, signal } = conversion;
  const { mediaType } = descriptor;
  const bytes = await readContent({ source, descriptor, limit: maxManifestSize, signal });
  const document = parseManifestOrIndex(bytes, mediaType);
  if (document.type === "manifest") {
    if (isOfFormat(mediaType, format)) return descriptor;
    const converted = convertManifest(document.manifest, format);
    converted.lost.forEach((field) => lost.add(field));
    const made = serializeManifest(converted.document);
    return { ...descriptor, ...source.add(converted.document.mediaType, made) };
  }
  const { index } = document;
  const entries: Descriptor[] = [];
  for (const entry of index.manifests) {
    if (format === "docker" && isAttestation(entry)) lost.add("attestations");
    else entries.push(isDocument(entry) ? await convert(entry, conversion) : entry);
  }
  const isSame = entries.every((entry, at) => entry.digest === index.manifests[at]?.digest);
  if (isSame && isOfFormat(mediaType, format)) return descriptor;
  const converted = convertIndex(index, entries, format);
  converted.lost.forEach((field) => lost.add(field));
  const made = serializeIndex(converted.document);
  return { ...descriptor, ...source.add(converted.document.mediaType, made) };
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

function isAttestation({ annotations }: Descriptor): boolean {
  return annotations?.["vnd.docker.reference.type"] !== undefined;
}
