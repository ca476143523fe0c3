import { createLimiter, isIndexType, isManifestType, type Digest } from "../../core/index.ts";
import {
  imageError,
  maxManifestSize,
  parseIndex,
  readContent,
  referrersTag,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import type { ReferrersSource } from "../places/open-image.ts";

/** What is said of an image and of everything in it. */
export interface FoundReferrers {
  /** By what it is about; what refers to a referrer comes behind that. */
  readonly lists: readonly {
    readonly subject: Digest;
    readonly referrers: readonly Descriptor[];
  }[];
  /** What cosign keeps under tags that are made of a digest. */
  readonly tags: readonly TaggedReferrer[];
}

export interface FindReferrersRequest {
  readonly referrers: ReferrersSource;
  readonly source: ContentSource;
  readonly root: Descriptor;
  readonly signal: AbortSignal;
}

/** A signature of an attestation of an image has two; deeper than this is an attack. */
const maxDepth = 8;
const askedAtOnce = 4;

/** Signatures, attestations and lists of parts, as cosign names them before it knew of referrers. */
const cosignSuffixes = ["sig", "att", "sbom"];

/**
 * Everything that refers to an image, to the images of an index, and to what refers to them.
 * @throws IMAGE_TOO_DEEP, IMAGE_INVALID, and what the source throws
 */
export async function findReferrers(request: FindReferrersRequest): Promise<FoundReferrers> {
  const { referrers, signal } = request;
  const limit = createLimiter(askedAtOnce);
  const subjects = await listDocuments(request, request.root, new Set());
  const tags = await Promise.all(
    [...subjects].map((digest) => limit(() => findTags(referrers, digest))),
  );
  const lists: { subject: Digest; referrers: readonly Descriptor[] }[] = [];
  const seen = new Set(subjects);
  let level: readonly Digest[] = [...seen];
  for (let depth = 0; level.length > 0; depth += 1) {
    signal.throwIfAborted();
    const found = await Promise.all(
      level.map((subject) =>
        limit(async () => ({ subject, referrers: await referrers.list(subject) })),
      ),
    );
    lists.push(...found.filter((list) => list.referrers.length > 0));
    level = found.flatMap((list) => list.referrers.map(({ digest }) => digest)).filter(isNew(seen));
    if (depth >= maxDepth && level.length > 0) throw tooDeep(level);
  }
  return { lists, tags: tags.flat() };
}

/** Something that is kept under a tag beside the image that it is about. */
export interface TaggedReferrer {
  readonly tag: string;
  readonly descriptor: Descriptor;
}

/** What cosign keeps of some content under tags that are made of its digest. */
export async function findTags(
  referrers: ReferrersSource,
  digest: Digest,
): Promise<readonly TaggedReferrer[]> {
  const found: TaggedReferrer[] = [];
  for (const suffix of cosignSuffixes) {
    const tag = `${referrersTag(digest)}.${suffix}`;
    const descriptor = await referrers.tagged(tag);
    if (descriptor !== undefined) found.push({ tag, descriptor });
  }
  return found;
}

/** The root and every manifest and index below it. */
async function listDocuments(
  request: FindReferrersRequest,
  descriptor: Descriptor,
  found: Set<Digest>,
): Promise<ReadonlySet<Digest>> {
  if (found.has(descriptor.digest)) return found;
  found.add(descriptor.digest);
  if (!isIndexType(descriptor.mediaType)) return found;
  const { source, signal } = request;
  const bytes = await readContent({ source, descriptor, limit: maxManifestSize, signal });
  for (const entry of parseIndex(bytes, descriptor.mediaType).manifests) {
    const isDocument = isIndexType(entry.mediaType) || isManifestType(entry.mediaType);
    if (isDocument) await listDocuments(request, entry, found);
  }
  return found;
}

function isNew(seen: Set<Digest>): (digest: Digest) => boolean {
  return (digest) => {
    if (seen.has(digest)) return false;
    seen.add(digest);
    return true;
  };
}

function tooDeep([digest]: readonly Digest[]): Error {
  return imageError("IMAGE_TOO_DEEP", `follow ${String(maxDepth)} referrers of referrers`, {
    details: { limit: maxDepth, digest },
  });
}
