import type { Writable } from "node:stream";
import { familiarReference, parseReference, type LayerCompression } from "../../core/index.ts";
import { openFileThread } from "../../build/index.ts";
import { copyGraph, type Descriptor } from "../../image/index.ts";
import type { ArchiveFlavor } from "../../archive/index.ts";
import type { FetchLayer, ImageGroup } from "../../local/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";

/** Images with the names that they have in an archive. */
export interface NamedGroup {
  readonly group: ImageGroup;
  /** Full names. */
  readonly names: readonly string[];
  /** What the archive's own index says of them. */
  readonly rootAnnotations?: Readonly<Record<string, string>>;
}

/** Form of the layers in an archive; what the flavor is used to, unless given. */
export interface ArchiveForm {
  readonly compression?: LayerCompression;
  readonly compressionLevel?: number;
  readonly forceCompression?: boolean;
  readonly dockerTypes?: boolean;
}

/**
 * Writes images into one archive, or into the directory of a layout; a tar that was begun is removed when it fails.
 * Gives the descriptor of each image there.
 * @throws ARCHIVE_WRITE_FAILED, LOCAL_*
 */
export async function writeArchive(request: {
  readonly engine: Engine;
  readonly flavor: ArchiveFlavor;
  readonly output: string | Writable;
  /** The directory of a layout instead of a tar. */
  readonly isDirectory?: boolean;
  readonly images: readonly NamedGroup[];
  readonly form?: ArchiveForm;
}): Promise<readonly Descriptor[]> {
  const { engine, flavor, output, images, form = {} } = request;
  const { signal } = engine;
  const bases = new BaseImages(engine, { pull: false });
  const { openArchiveSink, openLayoutSink } = await import("../../archive/index.ts");
  const sink =
    request.isDirectory === true && typeof output === "string"
      ? await openLayoutSink(output, signal)
      : await openArchiveSink({ output, flavor });
  const { compression = flavor === "oci" ? "gzip" : "none" } = form;
  const isPlainDocker = flavor === "docker" && form.compression === undefined;
  const roots: Descriptor[] = [];
  const thread = openFileThread();
  try {
    for (const { group, names, rootAnnotations } of images) {
      const { root, source } = await engine.images.exportGroup(group, {
        compression,
        ...(form.compressionLevel === undefined ? {} : { compressionLevel: form.compressionLevel }),
        reuse: !isPlainDocker && form.forceCompression !== true,
        ...(form.dockerTypes === true ? { dockerTypes: true } : {}),
        ...fetching(group, bases),
        thread,
        signal,
      });
      await copyGraph({ source, sink, root, signal });
      const entry =
        rootAnnotations === undefined ? root : { ...root, annotations: rootAnnotations };
      if (names.length === 0) sink.include(entry);
      for (const name of names) await sink.tag(name, entry, signal);
      roots.push(root);
    }
    await sink.finish();
    return roots;
  } catch (error) {
    await sink.abort();
    throw error;
  } finally {
    await bases.close();
    await thread?.close();
  }
}

/** Fetches layers for any of the images: whatever one of them lies on, a registry that is known has it. */
export function fetching(
  { members: [first] }: ImageGroup,
  bases: BaseImages,
): { readonly fetchLayer?: FetchLayer } {
  return first === undefined ? {} : { fetchLayer: bases.layersOf(first.image) };
}

/** Names as people write them. */
export function familiar(names: readonly string[]): string[] {
  return names.map((name) => familiarReference(parseReference(name)));
}
