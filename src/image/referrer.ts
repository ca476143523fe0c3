import type { Digest } from "../core/index.ts";
import { parseManifestOrIndex } from "./manifest.ts";
import type { Descriptor } from "./types.ts";

/** A manifest or index that names a subject, as its entry among the subject's referrers. */
export interface Referrer {
  readonly subject: Digest;
  readonly entry: Descriptor;
}

/**
 * Reads from a document whether it refers to something, and what a list of referrers says of it.
 * @throws IMAGE_INVALID
 * @see OCI distribution spec, "Listing Referrers"
 */
export function referrerOf(descriptor: Descriptor, bytes: Buffer): Referrer | undefined {
  const document = parseManifestOrIndex(bytes, descriptor.mediaType);
  const found = document.type === "manifest" ? document.manifest : document.index;
  if (found.subject === undefined) return undefined;
  const config = document.type === "manifest" ? document.manifest.config.mediaType : undefined;
  const artifactType = found.artifactType ?? config;
  const { mediaType, digest, size } = descriptor;
  return {
    subject: found.subject.digest,
    entry: {
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(found.annotations === undefined ? {} : { annotations: found.annotations }),
    },
  };
}

/**
 * The tag under which the referrers of some content are listed where nothing else lists them: `sha256-<hex>`.
 * @see OCI distribution spec, "Referrers Tag Schema"
 */
export function referrersTag(digest: Digest): string {
  const [algorithm = "", encoded = ""] = digest.split(":");
  return `${algorithm.slice(0, 32)}-${encoded.slice(0, 64)}`.replace(/[^\w.-]/g, "-");
}
