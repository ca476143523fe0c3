import {
  type Digest,
  formatReference,
  formatRepository,
  isDigest,
  isIndexType,
  isTsbuildError,
  parseReference,
  type Platform,
  type Reference,
  shortDigest,
  withDefaultTag,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { NameRecord, NameStore } from "../store/index.ts";
import { localError } from "./errors.ts";
import type { ImageRecords } from "./image-records.ts";
import { collectImages } from "./list-images.ts";
import { type ImagePlace, loadImage, loadImageById } from "./load-image.ts";
import type { LocalImage } from "./types.ts";

/** What a word stands for: a name that is here, or an image by its ID. */
export type Found =
  | { readonly type: "name"; readonly record: NameRecord }
  | { readonly type: "id"; readonly id: Digest }
  /** Several images under one ID. */
  | { readonly type: "index"; readonly descriptor: Descriptor };

/** Where words are looked up. */
export interface WordPlace {
  readonly names: Pick<NameStore, "get" | "list">;
  readonly records: Pick<ImageRecords, "get" | "list">;
}

/**
 * What the user means: a full ID, else a name, else the beginning of an ID. A name wins over a prefix, so that an image
 * called `cafe` can be reached.
 * @throws LOCAL_ID_AMBIGUOUS
 */
export async function findWord(place: WordPlace, word: string): Promise<Found | undefined> {
  const hex = word.replace(/^sha256:/, "");
  const full = `sha256:${hex}`;
  if (isDigest(full)) return findId(place, full);
  const record = await findName(place, word);
  if (record !== undefined) return { type: "name", record };
  const id = /^[0-9a-f]{2,63}$/.test(hex) ? await findPrefix(place, hex) : undefined;
  return id === undefined ? undefined : findId(place, id);
}

async function findId(place: WordPlace, id: Digest): Promise<Found> {
  if ((await place.records.get(id)) !== undefined) return { type: "id", id };
  const indexes = await listIndexes(place);
  const descriptor = indexes.find(({ digest }) => digest === id) ?? (await findPushed(place, id));
  return descriptor === undefined ? { type: "id", id } : { type: "index", descriptor };
}

/** The index that a registry knows by this digest, since its layers have a form there. */
async function findPushed({ names }: WordPlace, digest: Digest): Promise<Descriptor | undefined> {
  const pushed = (await names.list()).find(({ repoDigest }) => repoDigest === digest);
  return pushed && isIndexType(pushed.descriptor.mediaType) ? pushed.descriptor : undefined;
}

/** Every index that a name stands for or that images were built for. */
async function listIndexes({ names, records }: WordPlace): Promise<readonly Descriptor[]> {
  const named = (await names.list()).map(({ descriptor }) => descriptor);
  const ids = await records.list();
  const built = await Promise.all(ids.map(async (id) => (await records.get(id))?.index));
  return [...named, ...built.flatMap((index) => index ?? [])].filter(({ mediaType }) =>
    isIndexType(mediaType),
  );
}

/** See `LocalImages.find`. */
export async function findImage(
  place: ImagePlace,
  word: string,
  platform?: Platform,
): Promise<LocalImage | undefined> {
  const { names } = place.store;
  const found = await findWord({ names, records: place.records }, word);
  if (found === undefined) return undefined;
  if (found.type === "name") return loadImage(place, found.record.descriptor, platform);
  if (found.type === "index") return loadImage(place, found.descriptor, platform);
  return (await isKnown(place, found.id)) ? loadImageById(place, found.id) : undefined;
}

/** A config whose image was removed stays among the blobs until the next gc; it is no image any more. */
async function isKnown(place: ImagePlace, id: Digest): Promise<boolean> {
  if ((await place.records.get(id)) !== undefined) return true;
  return (await collectImages(place)).some(({ image }) => image.id === id);
}

async function findName(place: WordPlace, word: string): Promise<NameRecord | undefined> {
  const reference = parseName(word);
  if (reference === undefined) return undefined;
  const { names } = place;
  const record = await names.get(formatReference(withDefaultTag(reference)));
  if (record !== undefined || reference.digest === undefined) return record;
  const { digest } = reference;
  const repository = formatRepository(reference);
  const inRepository = (await names.list()).filter(
    ({ name }) => formatRepository(parseReference(name)) === repository,
  );
  return inRepository.find(
    ({ descriptor, repoDigest }) => repoDigest === digest || descriptor.digest === digest,
  );
}

/** undefined when the word is no image name. */
function parseName(word: string): Reference | undefined {
  try {
    return parseReference(word);
  } catch (error) {
    if (isTsbuildError(error, "REFERENCE_INVALID")) return undefined;
    throw error;
  }
}

async function findPrefix(place: WordPlace, hex: string): Promise<Digest | undefined> {
  const indexes = (await listIndexes(place)).map(({ digest }) => digest);
  const all = new Set([...(await place.records.list()), ...indexes]);
  const ids = [...all].filter((id) => id.startsWith(`sha256:${hex}`));
  if (ids.length < 2) return ids[0];
  throw localError("LOCAL_ID_AMBIGUOUS", `find image ${hex}: several IDs begin like that`, {
    hint: `give more digits: ${ids.slice(0, 5).map(shortDigest).join(", ")}`,
    details: { prefix: hex, ids },
  });
}
