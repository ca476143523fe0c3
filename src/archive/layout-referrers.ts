import { isIndexType, isManifestType, type Digest } from "../core/index.ts";
import {
  maxManifestSize,
  parseIndex,
  readContent,
  referrerOf,
  referrersTag,
  type ContentSource,
  type Descriptor,
} from "../image/index.ts";
import { refNameAnnotation, subjectAnnotation } from "./names.ts";

/** Names of what stands beside an image: the list of its referrers, and what cosign keeps under tags of its own. */
const besideImages = /^sha(?:256|512)-[0-9a-f]{64,128}(?:\.[a-z]+)?$/;

/** Whether an entry of `index.json` is no image of its own: it refers to another one, or lists what does. */
export function isBesideImages({ annotations = {}, artifactType }: Descriptor): boolean {
  const ref = annotations[refNameAnnotation];
  if (annotations[subjectAnnotation] !== undefined) return true;
  return ref === undefined ? artifactType !== undefined : besideImages.test(ref);
}

/**
 * What refers to some content in a layout: entries of its index whose document names the content as its subject, and
 * those of the index that stands under the tag for referrers, each once.
 * @throws IMAGE_INVALID, ARCHIVE_*
 */
export async function listLayoutReferrers(
  source: Pick<ContentSource, "label" | "fetch" | "resolve">,
  { entries, digest }: { readonly entries: readonly Descriptor[]; readonly digest: Digest },
): Promise<readonly Descriptor[]> {
  const found = new Map<Digest, Descriptor>();
  for (const descriptor of entries) {
    const { mediaType, annotations = {} } = descriptor;
    if (annotations[refNameAnnotation] === referrersTag(digest) && isIndexType(mediaType)) {
      const bytes = await readContent({ source, descriptor, limit: maxManifestSize });
      for (const entry of parseIndex(bytes, mediaType).manifests) found.set(entry.digest, entry);
    } else if (
      isBesideImages(descriptor) &&
      (isIndexType(mediaType) || isManifestType(mediaType))
    ) {
      const bytes = await readContent({ source, descriptor, limit: maxManifestSize });
      const referrer = referrerOf(descriptor, bytes);
      if (referrer?.subject === digest) found.set(referrer.entry.digest, referrer.entry);
    }
  }
  return [...found.values()];
}
