import { hostPlatform, type Platform } from "../core/index.ts";
import { parseImageConfig, maxConfigSize } from "./config.ts";
import { maxManifestSize, parseManifest } from "./manifest.ts";
import { readNamed } from "./name-document.ts";
import { readContent } from "./read-content.ts";
import { selectManifest } from "./select-manifest.ts";
import type { ContentSource, Descriptor, ImageConfig, Manifest } from "./types.ts";
import { checkImage } from "./validate.ts";

/** An image's two documents, parsed and as bytes; no layer has been touched. */
export interface ImageDocuments {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly manifestBytes: Buffer;
  readonly config: ImageConfig;
  readonly configBytes: Buffer;
}

/**
 * Reads manifest and config of the image that `root` stands for; inside an index, of the one for `platform` (the
 * host's by default).
 * @throws IMAGE_* codes, DIGEST_MISMATCH, SIZE_MISMATCH, and what the source throws
 */
export async function readImage(options: {
  readonly source: ContentSource;
  readonly root: Descriptor;
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<ImageDocuments> {
  const { source, root, platform = hostPlatform(), signal } = options;
  const { manifest: descriptor } = await selectManifest({ source, root, platform, signal });
  const manifestBytes = await readContent({ source, descriptor, limit: maxManifestSize, signal });
  const about = { descriptor, source };
  const manifest = readNamed(about, () => parseManifest(manifestBytes, descriptor.mediaType));
  const configBytes = await readContent({
    source,
    descriptor: manifest.config,
    limit: maxConfigSize,
    signal,
  });
  const config = readNamed({ descriptor: manifest.config, source }, () =>
    parseImageConfig(configBytes),
  );
  readNamed(about, () => checkImage(manifest, config));
  return { descriptor, manifest, manifestBytes, config, configBytes };
}
