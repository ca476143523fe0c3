import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Writable } from "node:stream";
import type { ArchiveFlavor } from "../archive/index.ts";
import { errnoOf } from "../core/index.ts";
import { copyGraph } from "../image/index.ts";
import type { LocalImage } from "../local/index.ts";
import { BaseImages } from "./base-images.ts";
import type { Engine } from "./engine.ts";
import { apiError, usageError } from "./errors.ts";

/** Where a build's result goes beside the store. */
export interface OutputSpec {
  /** `oci`: an OCI image layout. `docker`: an archive for docker load. Both are tars. */
  readonly type: "oci" | "docker";
  /** File name; `-` for standard output. */
  readonly destination: string;
}

/** `type=oci|docker,dest=FILE`. @throws USAGE */
export function parseOutput(text: string): OutputSpec {
  const fields = new Map<string, string>();
  for (const field of text.split(",")) {
    const equals = field.indexOf("=");
    if (equals < 1) throw invalidOutput(text);
    fields.set(field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1));
  }
  const type = fields.get("type");
  const destination = fields.get("dest") ?? fields.get("destination");
  const unknown = [...fields.keys()].find((key) => !["type", "dest", "destination"].includes(key));
  if (unknown !== undefined || (type !== "oci" && type !== "docker")) throw invalidOutput(text);
  if (destination === undefined || destination === "") throw invalidOutput(text);
  return { type, destination };
}

function invalidOutput(text: string): Error {
  return usageError(
    `read output ${JSON.stringify(text)}`,
    "write -o type=oci,dest=FILE or -o type=docker,dest=FILE",
  );
}

/** Fails before the build when the place cannot be written after it. @throws OUTPUT_FAILED */
export async function checkOutput(output: OutputSpec): Promise<void> {
  if (output.destination !== "-") await checkFolderOf(output.destination);
}

/** Whether a file can be put there: its folder exists, and no folder has its name. @throws OUTPUT_FAILED */
export async function checkFolderOf(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) throw outputFailed(path, undefined);
  try {
    if ((await stat(dirname(resolve(path)))).isDirectory()) return;
  } catch (error) {
    throw outputFailed(path, error);
  }
  throw outputFailed(path, undefined);
}

/** OUTPUT_FAILED for a place, which may be standard output too. */
export function outputFailed(destination: string, cause: unknown): Error {
  const errno = errnoOf(cause);
  return apiError("OUTPUT_FAILED", `write output to ${destination}`, {
    hint: "give the name of a file in a folder that exists and is writable",
    details: { destination, ...(errno === undefined ? {} : { errno }) },
    cause,
  });
}

/** Copies one image into an archive. */
export async function writeOutput(
  output: OutputSpec,
  request: {
    readonly engine: Engine;
    readonly image: LocalImage;
    /** Full names that the image has in the archive. */
    readonly names: readonly string[];
  },
): Promise<void> {
  const { engine, image, names } = request;
  await writeArchive({
    engine,
    flavor: output.type,
    output: output.destination === "-" ? process.stdout : output.destination,
    images: [{ image, names }],
  });
}

/** Writes images into one archive; what was begun is removed when it fails. */
export async function writeArchive(request: {
  readonly engine: Engine;
  readonly flavor: ArchiveFlavor;
  readonly output: string | Writable;
  readonly images: readonly { readonly image: LocalImage; readonly names: readonly string[] }[];
}): Promise<void> {
  const { engine, flavor, output, images } = request;
  const { signal } = engine;
  const bases = new BaseImages(engine, { pull: false });
  const { openArchiveSink } = await import("../archive/index.ts");
  const sink = await openArchiveSink({ output, flavor });
  try {
    for (const { image, names } of images) {
      const { root, source } = await engine.images.exportImage(image, {
        compression: flavor === "oci" ? "gzip" : "none",
        reuse: flavor === "oci",
        fetchLayer: bases.layersOf(image),
        signal,
      });
      await copyGraph({ source, sink, root, signal });
      if (names.length === 0) sink.include(root);
      for (const name of names) await sink.tag(name, root, signal);
    }
    await sink.finish();
  } catch (error) {
    await sink.abort();
    throw error;
  } finally {
    await bases.close();
  }
}
