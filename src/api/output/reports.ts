import { lstat, rm, writeFile } from "node:fs/promises";
import { errnoOf, type Digest, type JsonValue } from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import { checkFolderOf, outputFailed } from "./places.ts";

/** What came out of a build's outputs. */
export interface OutputReport {
  /** Of what the last output that is an image made. */
  readonly descriptor?: Descriptor;
  /** Of a lone image. */
  readonly configDigest?: Digest;
  /** Full names. */
  readonly names: readonly string[];
}

/** The file of an earlier build must not stand for one that fails. Only a file: `/dev/stdout` is not ours to remove. */
export async function removeReport(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isFile()) await rm(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw outputFailed(path, error);
  }
}

/** Digest of the config, or of the index of several images, without a newline. */
export async function writeImageId(path: string, id: Digest): Promise<void> {
  await writeReport(path, id);
}

/** `--metadata-file`: what programs want to know of the image, in the words that they know. */
export async function writeMetadata(path: string, report: OutputReport): Promise<void> {
  const { descriptor, configDigest, names } = report;
  const metadata: Record<string, JsonValue> = {
    ...(configDigest === undefined ? {} : { "containerimage.config.digest": configDigest }),
    ...(descriptor === undefined
      ? {}
      : {
          "containerimage.descriptor": {
            mediaType: descriptor.mediaType,
            digest: descriptor.digest,
            size: descriptor.size,
          },
          "containerimage.digest": descriptor.digest,
        }),
    ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
  };
  await writeReport(path, JSON.stringify(metadata, undefined, 2));
}

/**
 * Runs what makes an image and writes its digest to a file, as `--digestfile` of podman does, without a newline; a file of
 * before is gone when that fails. A place that cannot be written is told before anything is made.
 * @throws OUTPUT_FAILED
 */
export async function reportDigest<T extends { readonly digest: Digest }>(
  path: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (path === undefined) return work();
  await checkFolderOf(path);
  await removeReport(path);
  const made = await work();
  await writeReport(path, made.digest);
  return made;
}

async function writeReport(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw outputFailed(path, error);
  }
}
