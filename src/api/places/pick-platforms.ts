import { isIndexType, type Digest, type Platform } from "../../core/index.ts";
import {
  maxManifestSize,
  parseIndex,
  readContent,
  selectManifest,
  serializeIndex,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import { OverlaySource } from "./overlay-source.ts";

/** What an attestation says which image it is about. */
export const subjectDigestAnnotation = "vnd.docker.reference.digest";

/**
 * The images of an index that are best for these platforms: of one platform its manifest, of several an index that
 * lists those and what is attested of them. The index itself where that is all of it, or where no platform is named.
 * @throws IMAGE_PLATFORM_NOT_FOUND
 */
export async function pickPlatforms(request: {
  readonly source: ContentSource;
  readonly root: Descriptor;
  readonly platforms: readonly Platform[];
  readonly signal: AbortSignal;
}): Promise<{ readonly source: ContentSource; readonly root: Descriptor }> {
  const { source, root, platforms, signal } = request;
  if (platforms.length === 0 || !isIndexType(root.mediaType)) return { source, root };
  const chosen = new Map<Digest, Descriptor>();
  for (const platform of platforms) {
    const { manifest } = await selectManifest({ source, root, platform, signal });
    chosen.set(manifest.digest, manifest);
  }
  const [only] = chosen.values();
  if (platforms.length === 1 && only !== undefined) return { source, root: only };
  const bytes = await readContent({ source, descriptor: root, limit: maxManifestSize, signal });
  const index = parseIndex(bytes, root.mediaType);
  const kept = index.manifests.filter((entry) => chosen.has(subjectOf(entry)));
  const listed = new Set(kept.map(({ digest }) => digest));
  const nested = [...chosen.values()].filter(({ digest }) => !listed.has(digest));
  if (nested.length === 0 && kept.length === index.manifests.length) return { source, root };
  const overlay = new OverlaySource(source);
  const manifests = [...nested, ...kept];
  const smaller = overlay.add(index.mediaType, serializeIndex({ ...index, manifests }));
  return { source: overlay, root: smaller };
}

/** The image that an entry is, or speaks of. */
function subjectOf({ digest, annotations }: Descriptor): Digest {
  return (annotations?.[subjectDigestAnnotation] as Digest | undefined) ?? digest;
}
