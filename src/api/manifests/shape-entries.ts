import { choosePlatform, type Digest, type Platform } from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import type { ListedImage } from "../../local/index.ts";
import { missingPlatform } from "../missing-image.ts";
import { annotationsFor } from "../output/annotations.ts";
import type { Annotation } from "../output/types.ts";
import { subjectDigestAnnotation } from "../places/pick-platforms.ts";

/** What a source says of its image, beside what is known. */
export function withSaid(image: ListedImage, said: Descriptor | undefined): ListedImage {
  if (said === undefined) return image;
  const { descriptor } = image;
  const platform =
    said.platform === undefined ? undefined : { ...descriptor.platform, ...said.platform };
  const annotations = { ...descriptor.annotations, ...said.annotations };
  return {
    ...image,
    descriptor: {
      ...descriptor,
      ...(platform && { platform }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
  };
}

/** The best image for each platform, and what is attested of those. @throws IMAGE_PLATFORM_NOT_FOUND */
export function onlyFor(
  images: readonly ListedImage[],
  platforms: readonly Platform[],
): readonly ListedImage[] {
  if (platforms.length === 0) return images;
  const candidates = images.flatMap(({ descriptor: { digest, platform } }) =>
    platform === undefined || platform.os === "unknown" ? [] : [{ digest, platform }],
  );
  const chosen = new Set<Digest>();
  for (const wanted of platforms) {
    const found = choosePlatform(candidates, wanted);
    if (found === undefined) throw missingPlatform("the sources", { wanted, candidates });
    chosen.add(found.digest);
  }
  return images.filter(({ descriptor: { digest, annotations } }) =>
    chosen.has((annotations?.[subjectDigestAnnotation] as Digest | undefined) ?? digest),
  );
}

/** The same images with annotations of their entries. */
export function annotateEntries(
  images: readonly ListedImage[],
  annotations: readonly Annotation[],
): readonly ListedImage[] {
  return images.map((image) => {
    const { platform, annotations: known } = image.descriptor;
    const added = annotationsFor(annotations, { target: "manifest-descriptor", platform });
    if (Object.keys(added).length === 0) return image;
    return { ...image, descriptor: { ...image.descriptor, annotations: { ...known, ...added } } };
  });
}
