import { hostPlatform, type Platform } from "../../core/index.ts";
import { copyGraph } from "../../image/index.ts";
import type { LocalImage } from "../../local/index.ts";
import { isFor } from "../base-images.ts";
import { findImage } from "../images.ts";
import { nameImage } from "../missing-image.ts";
import { describe } from "../output/push-output.ts";
import { openImage, type OpenImageOptions } from "./open-image.ts";
import { parsePlace } from "./parse-place.ts";
import { pickPlatforms } from "./pick-platforms.ts";

/**
 * The image of a place as one of the store's, for what needs its files: found there, or brought there without a name.
 * Of an index, the image for `platform`, this machine's unless given.
 * @throws USAGE, IMAGE_*, REGISTRY_*, ARCHIVE_*
 */
export async function bringImage(
  text: string,
  options: OpenImageOptions & { readonly platform?: Platform | undefined },
): Promise<LocalImage> {
  const { engine, steps, platform = hostPlatform() } = options;
  const { images, signal } = engine;
  const place = parsePlace(text);
  if (place.type === "store") {
    const here = await images.find(place.name, options.platform);
    if (here !== undefined && (options.platform === undefined || isFor(here, platform)))
      return here;
    if (here === undefined) return findImage(engine, place.name);
  }
  const opened = await openImage(place, options);
  try {
    const { source, root } = await pickPlatforms({ ...opened, platforms: [platform], signal });
    await steps.run(`reading ${text}`, async (step) =>
      copyGraph({
        ...{ source, sink: images.sink(), root, signal },
        onProgress: (progress) => step.progress(describe(progress)),
      }),
    );
    return await images.adopt(root, platform);
  } catch (error) {
    throw nameImage(error, text);
  } finally {
    await opened.close();
  }
}
