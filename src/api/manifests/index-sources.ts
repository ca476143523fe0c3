import {
  formatRepository,
  isDigest,
  isTsbuildError,
  readSmallInput,
  type Digest,
} from "../../core/index.ts";
import { parseDescriptorJson, type Descriptor } from "../../image/index.ts";
import { apiError, usageError } from "../errors.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";

/** One source of an index: where it is, and what the index is to say of it beside that. */
export interface IndexSource {
  /** A place, see `parsePlace`. */
  readonly text: string;
  readonly said?: Descriptor;
}

const maxSourceFile = 1024 * 1024;

/** A plain name is one of a registry. @throws USAGE, REFERENCE_INVALID */
export function parseRemotePlace(text: string): Place {
  const place = parsePlace(text);
  return place.type === "store" ? parsePlace(`docker://${text}`) : place;
}

/**
 * Reads a source as it is written: a name, a digest in the repository of the first target, or a descriptor as JSON.
 * @throws USAGE, REFERENCE_INVALID
 */
export function parseIndexSource(text: string, targets: readonly Place[]): IndexSource {
  if (text.startsWith("{")) {
    const said = parseDescriptor(text);
    return { text: inRepository(said.digest, targets), said };
  }
  if (isDigest(text)) return { text: inRepository(text, targets) };
  const place = parsePlace(text);
  return { text: place.type === "store" ? `docker://${text}` : text };
}

/** A source that stands in a file. @throws as `parseIndexSource`; FILE_UNSUITABLE */
export async function readIndexSource(
  path: string,
  { targets, signal }: { readonly targets: readonly Place[]; readonly signal: AbortSignal },
): Promise<IndexSource> {
  const bytes = await readSmallInput(path, { limit: maxSourceFile, signal });
  return parseIndexSource(bytes.toString("utf8").trim(), targets);
}

function parseDescriptor(text: string): Descriptor {
  try {
    return parseDescriptorJson(text);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const hint = "a descriptor has mediaType, digest and size; or give a name";
    throw apiError("USAGE", error.message, { hint, cause: error });
  }
}

function inRepository(digest: Digest, targets: readonly Place[]): string {
  const target = targets.find((place) => place.type === "registry");
  if (target !== undefined) return `docker://${formatRepository(target.reference)}@${digest}`;
  throw usageError(
    `find ${digest}: a digest alone says nothing of its repository`,
    "give the repository with -t, or write REPOSITORY@DIGEST",
  );
}
