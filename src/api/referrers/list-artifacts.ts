import { StepLog } from "../../build/index.ts";
import { hostPlatform, mediaTypes, parsePlatform } from "../../core/index.ts";
import {
  plainDescriptor,
  selectManifest,
  serializeIndex,
  type Descriptor,
} from "../../image/index.ts";
import { withEngine, type EngineOptions } from "../engine.ts";
import { nameImage } from "../missing-image.ts";
import { openImage, type OpenedImage } from "../places/open-image.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";
import { checkKeepsReferrers } from "./copy-referrers.ts";
import { findTags, type TaggedReferrer } from "./find-referrers.ts";

export interface ListArtifactsOptions extends EngineOptions {
  /** A registry's name, with or without `docker://`, or another place that keeps artifacts. */
  readonly image: string;
  /** Of an index what refers to this image of it; to the index itself unless given. */
  readonly platform?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly insecure?: boolean | undefined;
}

/** An image and what names it as its subject. */
export interface ListedArtifacts {
  readonly subject: Descriptor;
  readonly artifacts: readonly Descriptor[];
  /** What cosign keeps under tags instead; these have no type, so none is told where one is asked for. */
  readonly tagged: readonly TaggedReferrer[];
  /** The artifacts as the index that a registry would answer with. */
  readonly document: Buffer;
}

/**
 * Signatures, attestations and other artifacts of an image, by the registry's API or by the tag that stands in for it.
 * @throws USAGE, IMAGE_*, REGISTRY_*, ARCHIVE_*
 */
export async function listArtifacts(options: ListArtifactsOptions): Promise<ListedArtifacts> {
  const place = parseSubjectPlace(options.image);
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openImage(place, { engine, steps, insecure: options.insecure });
    try {
      const { signal } = engine;
      const subject = await chooseSubject(opened, { place, platform: options.platform, signal });
      const { referrers } = opened;
      const artifacts = (await referrers?.list(subject.digest, options.artifactType)) ?? [];
      const tagged =
        referrers === undefined || options.artifactType !== undefined
          ? []
          : await findTags(referrers, subject.digest);
      const document = serializeIndex({ mediaType: mediaTypes.ociIndex, manifests: artifacts });
      return { subject, artifacts, tagged, document };
    } finally {
      await opened.close();
    }
  });
}

/** A plain name means a registry here: the local store keeps no artifacts. @throws USAGE, REFERENCE_INVALID */
export function parseSubjectPlace(text: string): Place {
  const written = parsePlace(text);
  const place = written.type === "store" ? parsePlace(`docker://${text}`) : written;
  checkKeepsReferrers(place);
  return place;
}

/** What artifacts are about: the root, or one image of it. @throws IMAGE_PLATFORM_NOT_FOUND */
export async function chooseSubject(
  { source, root }: OpenedImage,
  about: {
    readonly place: Place;
    readonly platform: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<Descriptor> {
  const { place, signal } = about;
  if (about.platform === undefined) return plainDescriptor(root);
  const platform = about.platform === "local" ? hostPlatform() : parsePlatform(about.platform);
  try {
    const { manifest } = await selectManifest({ source, root, platform, signal });
    return plainDescriptor(manifest);
  } catch (error) {
    throw nameImage(error, place.text);
  }
}
