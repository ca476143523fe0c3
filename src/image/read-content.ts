import { digestOf, verifyBytes } from "../core/index.ts";
import { imageError } from "./errors.ts";
import type { ContentSource, Descriptor } from "./types.ts";

/** Where a small document comes from, and how much of it is accepted. */
export interface ReadContentOptions {
  readonly source: ContentSource;
  readonly descriptor: Descriptor;
  /** Bytes. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The whole content of a small document, verified against its descriptor. Content that the descriptor carries
 * inline is taken from there when it is true.
 * @throws IMAGE_TOO_LARGE, DIGEST_MISMATCH, SIZE_MISMATCH, and what the source throws
 */
export async function readContent(options: ReadContentOptions): Promise<Buffer> {
  const { source, descriptor, limit, signal } = options;
  if (descriptor.size > limit) throw tooLarge(options);
  const inline = inlineContent(descriptor);
  if (inline !== undefined) return inline;
  const subject = `${descriptor.digest} from ${source.label}`;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of await source.fetch(descriptor, signal)) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    chunks.push(bytes);
    // One chunk more than promised is enough to know; verifyBytes tells it.
    if (size > descriptor.size) break;
  }
  const bytes = Buffer.concat(chunks);
  verifyBytes(bytes, descriptor, subject);
  return bytes;
}

/** The `data` of a descriptor, if it has some and it is what the descriptor promises. */
export function inlineContent(descriptor: Descriptor): Buffer | undefined {
  if (descriptor.data === undefined) return undefined;
  const bytes = Buffer.from(descriptor.data, "base64");
  const isTrue = bytes.length === descriptor.size && digestOf(bytes) === descriptor.digest;
  return isTrue ? bytes : undefined;
}

function tooLarge({ source, descriptor, limit }: ReadContentOptions): Error {
  const { digest, size, mediaType } = descriptor;
  return imageError(
    "IMAGE_TOO_LARGE",
    `read ${digest} from ${source.label}: it has ${String(size)} bytes, and no more than ${String(limit)} are taken`,
    { details: { digest, place: source.label, limit, found: size, mediaType } },
  );
}
