import type { Readable, Writable } from "node:stream";
import { familiarReference, parseReference, type Digest } from "../core/index.ts";
import { copyGraph } from "../image/index.ts";
import { idOf } from "../local/index.ts";
import { withEngine, type EngineOptions } from "./engine.ts";
import { findImage, normaliseName } from "./images.ts";
import { parseCompression, type CompressionWords } from "./output/compression.ts";
import { writeArchive } from "./output/archive-output.ts";

/**
 * Writes images into one tar that is an OCI layout and a docker archive at once. An image given by ID has no name in
 * it.
 * @throws IMAGE_NOT_FOUND, OUTPUT_FAILED; USAGE, OUTPUT_UNSUPPORTED for the compression
 */
export async function saveImages(
  options: EngineOptions & {
    readonly images: readonly string[];
    /** File name or stream. */
    readonly output: string | Writable;
    /** Of the layers; none unless given. */
    readonly compression?: CompressionWords | undefined;
  },
): Promise<void> {
  const form = parseCompression(options.compression ?? {});
  await withEngine(options, async (engine) => {
    const found = [];
    for (const name of options.images) {
      const image = await findImage(engine, name);
      const group = await engine.images.groupOf(image);
      found.push({ group, names: isId(name) ? [] : [normaliseName(name)] });
    }
    await writeArchive({ engine, flavor: "docker", output: options.output, images: found, form });
  });
}

function isId(name: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name);
}

export interface LoadedImage {
  /** Familiar form; absent when the archive names nothing. */
  readonly name?: string;
  readonly id: Digest;
}

/**
 * Takes every image of an archive (file, layout directory or stream) into the store.
 * @throws ARCHIVE_* for broken input; the store is as before then
 */
export async function loadImages(
  options: EngineOptions & { readonly input: string | Readable },
): Promise<readonly LoadedImage[]> {
  return withEngine(options, async (engine) => {
    const { openArchiveSource } = await import("../archive/index.ts");
    const source = await openArchiveSource({
      input: options.input,
      tmpDir: engine.store.tmpDir,
      signal: engine.signal,
    });
    try {
      const sink = engine.images.sink();
      const loaded: LoadedImage[] = [];
      for (const { descriptor: root, names } of source.images) {
        await copyGraph({ source, sink, root, signal: engine.signal });
        const image = await engine.images.adopt(root);
        const id = idOf(await engine.images.groupOf(image));
        // Before a name can stand for the image. Its layers are unpacked when something needs their files.
        await engine.images.checkLayers(image, engine.signal);
        for (const name of names) {
          await sink.tag(name, root, engine.signal);
          loaded.push({ name: familiarReference(parseReference(name)), id });
        }
        if (names.length === 0) loaded.push({ id });
      }
      return loaded;
    } finally {
      await source.close();
    }
  });
}
