import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import {
  Digester,
  digestOf,
  isTsbuildError,
  readSmallInput,
  whyUnreadable,
  type Digest,
} from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import { apiError, usageError } from "../errors.ts";

/** A file as a layer of an artifact. */
export interface ArtifactFile {
  readonly descriptor: Descriptor;
  open(): Readable;
}

/** Type of a file that is given without one. */
const plainFile = "application/octet-stream";
/** What is read from a pipe is kept in memory. */
const maxStreamSize = 64 * 1024 * 1024;

const mediaType = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i;

/** @throws USAGE unless it is `type/subtype` @see RFC 6838, 4.2 */
export function checkMediaType(text: string): string {
  if (mediaType.test(text)) return text;
  throw usageError(
    `read the type ${JSON.stringify(text)}`,
    "write a media type, such as application/spdx+json",
  );
}

/** `FILE[:type]` as it is on the command line; `-` is standard input. */
export function parseArtifactFile(text: string): { readonly path: string; readonly type: string } {
  const colon = text.lastIndexOf(":");
  const type = text.slice(colon + 1);
  if (colon <= 0 || !mediaType.test(type)) return { path: text, type: plainFile };
  return { path: text.slice(0, colon), type };
}

/**
 * Reads a file once for its digest; its content is read again when it is sent.
 * @throws ARTIFACT_UNREADABLE, CANCELED
 */
export async function readArtifactFile(
  file: { readonly path: string; readonly type: string },
  signal: AbortSignal,
): Promise<ArtifactFile> {
  const { path, type } = file;
  try {
    if (path === "-") return inMemory(file, await readInput(process.stdin));
    if (!(await stat(path)).isFile()) {
      return inMemory(file, await readSmallInput(path, { limit: maxStreamSize, signal }));
    }
    const { digest, size } = await digestFile(path, signal);
    return {
      descriptor: describeFile({ path, type, digest, size }),
      open: () => createReadStream(path),
    };
  } catch (error) {
    if (isTsbuildError(error) && error.code !== "FILE_UNSUITABLE") throw error;
    signal.throwIfAborted();
    throw apiError("ARTIFACT_UNREADABLE", `read ${path}: ${whyUnreadable(error)}`, {
      hint: "name a file, with :type/subtype behind it",
      details: { path },
      cause: error,
    });
  }
}

function inMemory(
  file: { readonly path: string; readonly type: string },
  bytes: Buffer,
): ArtifactFile {
  const descriptor = describeFile({ ...file, digest: digestOf(bytes), size: bytes.length });
  return { descriptor, open: () => Readable.from([bytes], { objectMode: false }) };
}

async function readInput(input: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size <= maxStreamSize) continue;
    throw usageError(
      `read standard input: it has more than ${String(maxStreamSize >> 20)} MiB`,
      "write it to a file, and name that",
    );
  }
  return Buffer.concat(chunks);
}

async function digestFile(
  path: string,
  signal: AbortSignal,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const digester = new Digester();
  for await (const chunk of createReadStream(path, { signal })) digester.update(chunk as Buffer);
  return { digest: digester.digest(), size: digester.size };
}

function describeFile(file: {
  readonly path: string;
  readonly type: string;
  readonly digest: Digest;
  readonly size: number;
}): Descriptor {
  const { path, type, digest, size } = file;
  const title = { "org.opencontainers.image.title": basename(path) };
  return { mediaType: type, digest, size, ...(path === "-" ? {} : { annotations: title }) };
}
