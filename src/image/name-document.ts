import { isTsbuildError, retold } from "../core/index.ts";
import type { ImageErrorCode } from "./errors.ts";
import type { ContentSource, Descriptor } from "./types.ts";

/** What is said of a document itself, by those who read it without knowing where it comes from. */
const aboutDocuments: readonly ImageErrorCode[] = [
  "IMAGE_INVALID",
  "IMAGE_SCHEMA1",
  "IMAGE_TOO_LARGE",
  "IMAGE_TOO_DEEP",
];

/**
 * Reads a document; one that is refused is told with its digest and the place it comes from, in the message and as
 * `details.digest` and `details.place`.
 * @throws what `read` throws
 */
export function readNamed<T>({ descriptor, source }: NamedDocument, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isTsbuildError(error) || !aboutDocuments.some((code) => code === error.code)) throw error;
    const { digest } = descriptor;
    const place = source.label;
    const message = `${error.message} (${digest} from ${place})`;
    throw retold(error, { message, details: { digest, place } });
  }
}

/** A document and the place that it comes from. */
export interface NamedDocument {
  readonly descriptor: Pick<Descriptor, "digest">;
  readonly source: Pick<ContentSource, "label">;
}
