import { StepLog } from "../build/index.ts";
import { familiarReference, formatRepository, hostPlatform, parsePlatform } from "../core/index.ts";
import {
  maxConfigSize,
  maxManifestSize,
  readContent,
  readImage,
  selectManifest,
  parseManifest,
} from "../image/index.ts";
import { withEngine, type EngineOptions } from "./engine.ts";
import { inspectConfig, inspectImages, type InspectedImage } from "./inspect.ts";
import { nameImage } from "./missing-image.ts";
import { openImage, type OpenedImage } from "./places/open-image.ts";
import { parsePlace, type Place } from "./places/parse-place.ts";

export interface InspectPlaceOptions extends EngineOptions {
  /** See `parsePlace`. */
  readonly place: string;
  /** Chooses inside an index; this machine's where one has to be chosen. */
  readonly platform?: string | undefined;
  readonly insecure?: boolean | undefined;
}

/**
 * A document of an image, byte for byte: its manifest or index as it stands there, or its config. Of an image that was
 * built here and never left, the manifest with which it would leave.
 * @throws IMAGE_*, REGISTRY_*, ARCHIVE_*
 */
export async function readDocument(
  options: InspectPlaceOptions & { readonly document: "manifest" | "config" },
): Promise<Buffer> {
  return withOpened(options, async ({ source, root }, signal) => {
    const { document } = options;
    const isWhole = document === "manifest" && options.platform === undefined;
    const platform = platformOf(options);
    const { manifest } = isWhole
      ? { manifest: root }
      : await selectManifest({ source, root, platform, signal });
    const limit = maxManifestSize;
    const bytes = await readContent({ source, descriptor: manifest, limit, signal });
    if (document === "manifest") return bytes;
    const { config } = parseManifest(bytes, manifest.mediaType);
    return readContent({ source, descriptor: config, limit: maxConfigSize, signal });
  });
}

/**
 * What is known of an image wherever it is. Of one that is not in the store, `Size` counts its layers as they lie there.
 * @throws IMAGE_*, REGISTRY_*, ARCHIVE_*
 */
export async function inspectPlace(options: InspectPlaceOptions): Promise<InspectedImage> {
  const place = parsePlace(options.place);
  if (place.type === "store" && options.platform === undefined) {
    const [found] = await inspectImages({ ...options, images: [place.name] });
    if (found !== undefined) return found;
  }
  return withOpened(options, async ({ source, root }, signal) => {
    const image = await readImage({ source, root, platform: platformOf(options), signal });
    const { config, manifest } = image;
    return inspectConfig(config, {
      Id: manifest.config.digest,
      RepoTags: tagsOf(place),
      RepoDigests:
        place.type === "registry" ? [`${formatRepository(place.reference)}@${root.digest}`] : [],
      Size: manifest.layers.reduce((sum, { size }) => sum + size, 0),
    });
  });
}

function tagsOf(place: Place): readonly string[] {
  if (place.type !== "registry" || place.reference.tag === undefined) return [];
  return [familiarReference(place.reference)];
}

function platformOf({ platform }: InspectPlaceOptions) {
  return platform === undefined ? hostPlatform() : parsePlatform(platform);
}

async function withOpened<T>(
  options: InspectPlaceOptions,
  work: (image: OpenedImage, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const place = parsePlace(options.place);
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openImage(place, { engine, steps, insecure: options.insecure });
    try {
      return await work(opened, engine.signal);
    } catch (error) {
      throw nameImage(error, place.text);
    } finally {
      await opened.close();
    }
  });
}
