import { join } from "node:path";
import { type Clock, type Digest, digestOf } from "../core/index.ts";
import { type Descriptor, parseImageConfig } from "../image/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import { localError } from "./errors.ts";
import { exportImage } from "./export-image.ts";
import { findImage, findWord } from "./find-image.ts";
import { openImageRecords } from "./image-records.ts";
import { collectImages, listImages } from "./list-images.ts";
import { configDescriptor, type ImagePlace, loadAllImages, loadImage } from "./load-image.ts";
import { SingleFlight } from "./single-flight.ts";
import { normaliseName, storeSink, storeSource } from "./store-places.ts";
import type { LocalImage, LocalImages } from "./types.ts";
import { unpackImage } from "./unpack.ts";

/** Opens the images of a state root. Reads nothing yet. */
export function openLocalImages(options: {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly clock?: Clock;
}): LocalImages {
  const { store, snapshots } = options;
  const records = openImageRecords(join(store.root, "images"), store.tmpDir);
  const place = { store, snapshots, records, flights: new SingleFlight() };

  const recordAll = async (root: Descriptor): Promise<void> => {
    for (const image of await loadAllImages(place, root)) await record(place, image);
  };

  return {
    find: async (word, platform) => findImage(place, word, platform),
    list: async () => listImages(place),
    tag: async (name, image) => {
      const full = normaliseName(name);
      await record(place, image);
      const descriptor = image.root ?? image.manifest ?? configDescriptor(image);
      await store.names.set({ name: full, descriptor });
    },
    create: async (configBytes, names, { base } = {}) =>
      createImage(place, { configBytes, names: names.map(normaliseName), base }),
    adopt: async (root, platform) => {
      const image = await loadImage(place, root, platform);
      if (image === undefined) throw notFound(root.digest);
      await recordAll(root);
      return image;
    },
    remove: async (word, { force = false } = {}) => removeImage(place, word, force),
    ensureUnpacked: async (image, unpackOptions) => unpackImage(place, image, unpackOptions),
    exportImage: async (image, exportOptions) => exportImage(place, image, exportOptions),
    sink: ({ fromRegistry = false } = {}) => storeSink(store, { fromRegistry, onTag: recordAll }),
    source: () => storeSource(store),
  };
}

async function record({ records }: ImagePlace, image: LocalImage): Promise<void> {
  const { id, manifest, base } = image;
  await records.add(id, {
    ...(manifest === undefined ? {} : { manifest }),
    ...(base === undefined ? {} : { base }),
  });
}

async function createImage(
  place: ImagePlace,
  request: {
    readonly configBytes: Buffer;
    readonly names: readonly string[];
    readonly base: Digest | undefined;
  },
): Promise<LocalImage> {
  const { configBytes, names } = request;
  const config = parseImageConfig(configBytes);
  const id = digestOf(configBytes);
  const { blobs } = place.store;
  // A rebuild that changed nothing writes nothing.
  if ((await blobs.size(id)) !== configBytes.length) await blobs.writeBytes(configBytes);
  const built = request.base === undefined ? undefined : await place.records.get(request.base);
  // Of an image that was itself built here, what it was built on.
  const base = built?.manifest ?? built?.base;
  const image = { id, config, configBytes, ...(base === undefined ? {} : { base }) };
  await record(place, image);
  const root = configDescriptor(image);
  for (const name of names) await place.store.names.set({ name, descriptor: root });
  return { ...image, root };
}

async function removeImage(
  place: ImagePlace,
  word: string,
  force: boolean,
): Promise<{ untagged: readonly string[]; deleted: readonly Digest[] }> {
  const found = await findWord(place, word);
  const images = await collectImages(place);
  const meant = images.filter(({ image, names }) =>
    found?.type === "name" ? names.includes(found.record.name) : image.id === found?.id,
  );
  if (found === undefined || (found.type === "id" && meant.length === 0)) throw notFound(word);
  const untagged =
    found.type === "name" ? [found.record.name] : meant.flatMap(({ names }) => names);
  if (untagged.length > 1 && !force) throw hasNames(word, untagged);
  for (const name of untagged) await place.store.names.remove(name);
  const deleted: Digest[] = [];
  for (const { image, names } of meant) {
    if (names.some((name) => !untagged.includes(name))) continue;
    await place.records.remove(image.id);
    deleted.push(image.id);
  }
  return { untagged, deleted };
}

function notFound(word: string): Error {
  return localError("LOCAL_IMAGE_NOT_FOUND", `find image ${word}: it is not here`, {
    hint: "`tsbuild images` lists what is here",
    details: { image: word },
  });
}

function hasNames(word: string, names: readonly string[]): Error {
  return localError("LOCAL_IMAGE_HAS_NAMES", `remove image ${word}: it has several names`, {
    hint: "remove the names one by one, or all of them with --force",
    details: { image: word, names },
  });
}
