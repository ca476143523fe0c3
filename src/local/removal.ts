import { isIndexType, type Digest } from "../core/index.ts";
import type { NameRecord } from "../store/index.ts";
import { localError, notFound } from "./errors.ts";
import { findWord, type Found, type WordPlace } from "./find-image.ts";
import type { ImageRecord } from "./image-records.ts";
import { collectImages } from "./list-images.ts";
import type { ImagePlace } from "./load-image.ts";
import type { ImageRemoval, RemovedImage, RemoveOptions } from "./types.ts";

/** What a name or an ID stands for, as far as it is here. */
interface Known {
  readonly names: Map<string, NameRecord>;
  readonly records: Map<Digest, ImageRecord>;
  /** Names that images have. */
  readonly namesOf: Map<Digest, Set<string>>;
  /** The images of a name: several when it stands for an index. */
  readonly imagesOf: Map<string, readonly Digest[]>;
  readonly indexes: Map<Digest, ReadonlyMap<Digest, readonly string[]>>;
}

/** See `LocalImages.openRemoval`. */
export class Removal implements ImageRemoval {
  readonly #place: ImagePlace;
  #known: Promise<Known> | undefined;

  constructor(place: ImagePlace) {
    this.#place = place;
  }

  async remove(word: string, { force = false, mayGo }: RemoveOptions = {}): Promise<RemovedImage> {
    const known = await (this.#known ??= readKnown(this.#place));
    const found = await findWord(this.#wordsOf(known), word);
    const meant = found === undefined ? [] : imagesMeant(known, found);
    if (found === undefined || (found.type !== "name" && meant.length === 0)) throw notFound(word);
    const untagged = namesToRemove(known, { found, meant });
    if (untagged.length > 1 && !force) throw hasNames(word, untagged);
    const going = new Set(untagged);
    const touched = new Set([
      ...meant,
      ...untagged.flatMap((name) => known.imagesOf.get(name) ?? []),
    ]);
    const deleted = [...touched].filter((id) => !keepsName(known.namesOf.get(id), going)).sort();
    for (const id of deleted) await mayGo?.(id);
    await this.#forget(known, { untagged, deleted, touched });
    return { untagged, deleted };
  }

  /** Names are looked up as they are now; lists are those of the beginning, without what was removed since. */
  #wordsOf({ names, records }: Known): WordPlace {
    return {
      names: {
        get: async (name) => this.#place.store.names.get(name),
        list: () => Promise.resolve([...names.values()]),
      },
      records: {
        get: (id) => Promise.resolve(records.get(id)),
        list: () => Promise.resolve([...records.keys()]),
      },
    };
  }

  async #forget(
    known: Known,
    gone: {
      readonly untagged: readonly string[];
      readonly deleted: readonly Digest[];
      readonly touched: ReadonlySet<Digest>;
    },
  ): Promise<void> {
    const { store, records } = this.#place;
    const indexes = gone.untagged.flatMap((name) => indexOf(known.names.get(name)));
    for (const name of gone.untagged) {
      await store.names.remove(name);
      known.names.delete(name);
      known.imagesOf.delete(name);
    }
    const deleted = new Set(gone.deleted);
    for (const id of gone.touched) {
      if (deleted.has(id)) {
        await records.remove(id);
        for (const each of [known.records, known.namesOf, known.indexes]) each.delete(id);
        continue;
      }
      for (const name of gone.untagged) known.namesOf.get(id)?.delete(name);
      // It stays, but not for the sake of the images that it was built along with.
      for (const index of indexes) {
        await records.leaveIndex(id, index);
        const { index: last, ...record } = known.records.get(id) ?? {};
        if (last?.digest === index) known.records.set(id, record);
      }
    }
  }
}

async function readKnown(place: ImagePlace): Promise<Known> {
  const known: Known = {
    names: new Map((await place.store.names.list()).map((record) => [record.name, record])),
    records: new Map(),
    namesOf: new Map(),
    imagesOf: new Map(),
    indexes: new Map(),
  };
  for (const id of await place.records.list()) {
    const record = await place.records.get(id);
    if (record !== undefined) known.records.set(id, record);
  }
  for (const { image, names, indexes } of await collectImages(place)) {
    known.namesOf.set(image.id, new Set(names));
    known.indexes.set(image.id, indexes);
    for (const name of names) {
      known.imagesOf.set(name, [...(known.imagesOf.get(name) ?? []), image.id]);
    }
  }
  return known;
}

function imagesMeant(known: Known, found: Found): readonly Digest[] {
  switch (found.type) {
    case "name":
      return known.imagesOf.get(found.record.name) ?? [];
    case "id":
      return known.namesOf.has(found.id) ? [found.id] : [];
    case "index":
      return [...known.indexes]
        .filter(([, indexes]) => isThere(known, indexes.get(found.descriptor.digest)))
        .map(([id]) => id);
  }
}

/** Whether an index with these names is still here; without a name it is as long as its images are. */
function isThere(known: Known, names: readonly string[] | undefined): boolean {
  if (names === undefined) return false;
  return names.length === 0 || names.some((name) => known.names.has(name));
}

function namesToRemove(
  known: Known,
  { found, meant }: { readonly found: Found; readonly meant: readonly Digest[] },
): readonly string[] {
  switch (found.type) {
    case "name":
      return [found.record.name];
    case "id":
      return [...(known.namesOf.get(found.id) ?? [])];
    case "index": {
      const { digest } = found.descriptor;
      const names = meant.flatMap((id) => known.indexes.get(id)?.get(digest) ?? []);
      return [...new Set(names)].filter((name) => known.names.has(name));
    }
  }
}

/** Whether a name stays. Looks at no more names than go and one more: an image may have thousands. */
function keepsName(names: ReadonlySet<string> | undefined, going: ReadonlySet<string>): boolean {
  for (const name of names ?? []) if (!going.has(name)) return true;
  return false;
}

function indexOf(record: NameRecord | undefined): readonly Digest[] {
  return record !== undefined && isIndexType(record.descriptor.mediaType)
    ? [record.descriptor.digest]
    : [];
}

function hasNames(word: string, names: readonly string[]): Error {
  return localError("LOCAL_IMAGE_HAS_NAMES", `remove image ${word}: it has several names`, {
    hint: "remove the names one by one, or all of them with --force",
    details: { image: word, names },
  });
}
