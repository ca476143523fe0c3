import type { Readable, Writable } from "node:stream";
import {
  familiarReference,
  parsePlatform,
  parseReference,
  type Digest,
  type Platform,
} from "../core/index.ts";
import { copyGraph } from "../image/index.ts";
import { idOf } from "../local/index.ts";
import { chooseMembers } from "./choose-members.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { usageError } from "./errors.ts";
import { findImage, namesIn, normaliseName } from "./images.ts";
import { parseCompression, type CompressionWords } from "./output/compression.ts";
import { writeArchive, type NamedGroup } from "./output/archive-output.ts";

/**
 * - `docker-archive`: one tar that is an OCI layout and a docker archive at once;
 * - `oci-archive`: one that is an OCI layout and nothing else;
 * - `oci-dir`: the directory of a layout; images that it has already stay.
 */
export type SaveFormat = "docker-archive" | "oci-archive" | "oci-dir";

/**
 * Writes images into one archive. An image given by ID has no name in it; a name without a tag stands for every tag that
 * its repository has here.
 * @throws IMAGE_NOT_FOUND, IMAGE_PLATFORM_NOT_FOUND, ARCHIVE_WRITE_FAILED; USAGE, OUTPUT_UNSUPPORTED for the compression
 */
export async function saveImages(
  options: EngineOptions & {
    readonly images: readonly string[];
    /** File name or stream. */
    readonly output: string | Writable;
    /** `docker-archive` unless given. */
    readonly format?: SaveFormat | undefined;
    /** Of images for several only these; all that are here unless given. */
    readonly platforms?: readonly string[] | undefined;
    /** Of the layers; unless given none for a docker archive, gzip for a layout. */
    readonly compression?: CompressionWords | undefined;
  },
): Promise<void> {
  const form = parseCompression(options.compression ?? {});
  const platforms = (options.platforms ?? []).map(parsePlatform);
  const { output, format = "docker-archive" } = options;
  const isDirectory = format === "oci-dir";
  if (isDirectory && typeof output !== "string") {
    throw usageError("write a layout directory to a stream", "name a directory with -o");
  }
  const flavor = format === "docker-archive" ? "docker" : "oci";
  await withEngine(options, async (engine) => {
    const images = [];
    for (const word of options.images) {
      images.push(...(await findNamed(engine, word, platforms)));
    }
    await writeArchive({ engine, flavor, output, isDirectory, images, form });
  });
}

async function findNamed(
  engine: Engine,
  word: string,
  platforms: readonly Platform[],
): Promise<readonly NamedGroup[]> {
  const names = isId(word) ? [] : await namesOf(engine, word);
  const found: NamedGroup[] = [];
  for (const name of names.length === 0 ? [word] : names) {
    const whole = await engine.images.groupOf(await findImage(engine, name));
    const group = chooseMembers(whole, { name, platforms });
    found.push({ group, names: isId(name) ? [] : [normaliseName(name)] });
  }
  return found;
}

/** Names here that a word stands for: itself, or without a tag all of its repository's. */
async function namesOf(engine: Engine, word: string): Promise<readonly string[]> {
  const reference = parseReference(word);
  if (reference.tag !== undefined || reference.digest !== undefined) return [word];
  return namesIn(engine, reference);
}

function isId(name: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{12,64}$/.test(name);
}

export interface LoadedImage {
  /** Familiar form; absent when the archive names nothing. */
  readonly name?: string;
  readonly id: Digest;
  /** The image that had the name until now, where that was another one. */
  readonly replaced?: Digest;
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
          const replaced = await idUnder(engine, name);
          await sink.tag(name, root, engine.signal);
          const isOther = replaced !== undefined && replaced !== id;
          const familiar = familiarReference(parseReference(name));
          loaded.push({ name: familiar, id, ...(isOther ? { replaced } : {}) });
        }
        if (names.length === 0) loaded.push({ id });
      }
      return loaded;
    } finally {
      await source.close();
    }
  });
}

async function idUnder({ images }: Engine, name: string): Promise<Digest | undefined> {
  const image = await images.find(name);
  return image === undefined ? undefined : idOf(await images.groupOf(image));
}
