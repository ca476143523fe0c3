import type { ArchivedImage, ArchiveSource } from "../archive/index.ts";
import { chainIdOf, parseReference, type Platform } from "../core/index.ts";
import { copyGraph, readImage, type Descriptor } from "../image/index.ts";
import type { LocalImage } from "../local/index.ts";
import type { BaseImage, OciLayout } from "../plan/index.ts";
import type { Engine } from "./engine.ts";
import { apiError } from "./errors.ts";

interface LayoutRequest {
  /** What the image is called. */
  readonly name: string;
  readonly platform: Platform;
  readonly engine: Engine;
}

/**
 * A base image out of a directory in OCI layout. It comes into the store as a whole, without a name, so that what is built
 * on it needs the directory no more; blobs that are here are not read again.
 * @throws IMAGE_NOT_FOUND, ARCHIVE_*, IMAGE_*
 */
export async function resolveLayout(layout: OciLayout, request: LayoutRequest): Promise<BaseImage> {
  const { platform, engine } = request;
  const { images, signal } = engine;
  return withLayout(layout, request, async ({ source, root: descriptor }) => {
    const sink = images.sink();
    const { root } = await copyGraph({ source, sink, root: descriptor, platform, signal });
    return images.adopt(root, platform);
  });
}

/** The same for whoever only looks: nothing comes into the store. */
export async function lookIntoLayout(
  layout: OciLayout,
  request: LayoutRequest,
): Promise<BaseImage> {
  const { platform, engine } = request;
  return withLayout(layout, request, async (opened) => {
    const { manifest, config } = await readImage({ ...opened, platform, signal: engine.signal });
    return { id: manifest.config.digest, config };
  });
}

async function withLayout(
  layout: OciLayout,
  { name, engine }: LayoutRequest,
  read: (opened: {
    readonly source: ArchiveSource;
    readonly root: Descriptor;
  }) => Promise<Pick<LocalImage, "id" | "config">>,
): Promise<BaseImage> {
  const { openArchiveSource } = await import("../archive/index.ts");
  const source = await openArchiveSource({
    input: layout.path,
    // Gives a name to entries that say a tag alone.
    repository: "layout",
    tmpDir: engine.store.tmpDir,
    signal: engine.signal,
  });
  try {
    const { descriptor } = chooseImage(source.images, layout);
    const { id, config } = await read({ source, root: descriptor });
    return { reference: name, imageId: id, chainId: chainIdOf(config.diffIds), config };
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
