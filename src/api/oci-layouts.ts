import type { ArchivedImage } from "../archive/index.ts";
import { chainIdOf, parseReference, type Platform } from "../core/index.ts";
import { copyGraph } from "../image/index.ts";
import type { BaseImage, OciLayout } from "../plan/index.ts";
import type { Engine } from "./engine.ts";
import { apiError } from "./errors.ts";

/**
 * A base image out of a directory in OCI layout. It comes into the store as a whole, without a name, so that what is built
 * on it needs the directory no more; blobs that are here are not read again.
 * @throws IMAGE_NOT_FOUND, ARCHIVE_*, IMAGE_*
 */
export async function resolveLayout(
  layout: OciLayout,
  request: { readonly name: string; readonly platform: Platform; readonly engine: Engine },
): Promise<BaseImage> {
  const { name, platform, engine } = request;
  const { images, signal, store } = engine;
  const { openArchiveSource } = await import("../archive/index.ts");
  const source = await openArchiveSource({
    input: layout.path,
    // Gives a name to entries that say a tag alone.
    repository: "layout",
    tmpDir: store.tmpDir,
    signal,
  });
  try {
    const { descriptor } = chooseImage(source.images, layout);
    const { root } = await copyGraph({
      source,
      sink: images.sink(),
      root: descriptor,
      platform,
      signal,
    });
    const image = await images.adopt(root, platform);
    return {
      reference: name,
      imageId: image.id,
      chainId: chainIdOf(image.config.diffIds),
      config: image.config,
    };
  } finally {
    await source.close();
  }
}

/** By digest, by tag, or `latest`; the only image needs neither. */
function chooseImage(images: readonly ArchivedImage[], layout: OciLayout): ArchivedImage {
  const { path, tag, digest } = layout;
  const [only, ...more] = images;
  if (tag === undefined && digest === undefined && only !== undefined && more.length === 0)
    return only;
  const found =
    digest === undefined
      ? images.findLast(({ names }) => names.map(tagOf).includes(tag ?? "latest"))
      : images.find(({ descriptor }) => descriptor.digest === digest);
  if (found !== undefined) return found;
  const wanted = digest ?? tag ?? "latest";
  const tags = images.flatMap(({ names }) => names.map(tagOf));
  throw apiError("IMAGE_NOT_FOUND", `find ${wanted} in the OCI layout ${path}`, {
    hint:
      tags.length === 0
        ? "give the digest of one of its images: oci-layout://DIR@sha256:…"
        : `its tags are ${tags.join(", ")}`,
    details: { path, wanted },
  });
}

function tagOf(name: string): string {
  return parseReference(name).tag ?? "latest";
}
