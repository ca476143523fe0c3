import { join } from "node:path";
import { type Clock, digestOf, isIndexType } from "../core/index.ts";
import { plainDescriptor, type Descriptor } from "../image/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import { notFound } from "./errors.ts";
import { checkLayers } from "./check-layers.ts";
import { exportGroup } from "./export-group.ts";
import { exportLayers } from "./export-layers.ts";
import { findImage } from "./find-image.ts";
import { findOriginal } from "./find-original.ts";
import { describeGroup, groupOf, isWhole, prepareImage } from "./image-group.ts";
import { openImageRecords } from "./image-records.ts";
import { listImages } from "./list-images.ts";
import { configDescriptor, type ImagePlace, loadAllImages, loadImage } from "./load-image.ts";
import { Removal } from "./removal.ts";
import { SingleFlight } from "./single-flight.ts";
import { normaliseName, storeSink, storeSource } from "./store-places.ts";
import type { ImageGroup, LocalImage, LocalImages } from "./types.ts";
import { unpackImage, unpackStack } from "./unpack.ts";

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
    const images = await loadAllImages(place, root);
    for (const image of images) await record(place, image);
    if (!isIndexType(root.mediaType) || !isWhole(images)) return;
    // So that they stay together without a name.
    for (const { id } of images) await records.add(id, { index: plainDescriptor(root) });
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
    create: async (configBytes, names, { base } = {}) => {
      const image = await prepareImage(place, { configBytes, base });
      const { members } = await keepGroup(
        place,
        { members: [{ image }] },
        { names: names.map(normaliseName) },
      );
      return members[0]?.image ?? image;
    },
    prepare: async (configBytes, prepareOptions = {}) =>
      prepareImage(place, { configBytes, ...prepareOptions }),
    keep: async (group, names, keepOptions) =>
      keepGroup(place, group, { names: names.map(normaliseName), ...keepOptions }),
    groupOf: async (image) => groupOf(place, image),
    adopt: async (root, platform) => {
      const image = await loadImage(place, root, platform);
      if (image === undefined) throw notFound(root.digest);
      await recordAll(root);
      return image;
    },
    openRemoval: () => new Removal(place),
    remove: async (word, removeOptions) => new Removal(place).remove(word, removeOptions),
    checkLayers: async (image, signal) => checkLayers(place, image, signal),
    ensureStack: async (layers, unpackOptions) => unpackStack(place, layers, unpackOptions),
    exportLayers: async (layers, exportOptions) => exportLayers(place, layers, exportOptions),
    ensureUnpacked: async (image, unpackOptions) => unpackImage(place, image, unpackOptions),
    exportImage: async (image, exportOptions) =>
      exportGroup(place, await groupOf(place, image), exportOptions),
    findOriginal: async (image) => findOriginal(store, image),
    exportGroup: async (group, exportOptions) => exportGroup(place, group, exportOptions),
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

/**
 * A rebuild that changed nothing writes nothing. Documents and names are written at the same time, so that they wait for
 * the disk together; each counts when what it leads to does.
 */
async function keepGroup(
  place: ImagePlace,
  group: ImageGroup,
  options: { readonly names: readonly string[]; readonly after?: Promise<unknown> | undefined },
): Promise<ImageGroup> {
  const { blobs, names: known } = place.store;
  const { root, documents } = describeGroup(group);
  const written = documents.map(async (bytes) => {
    if ((await blobs.size(digestOf(bytes))) !== bytes.length) await blobs.writeBytes(bytes);
  });
  const index = group.index === undefined ? {} : { index: root };
  const record = async (): Promise<void> => {
    // What fails for all of them is told in its own words, not as the failure of a document.
    await allDone(options.after === undefined ? written : [options.after, ...written]);
    for (const { image } of group.members) {
      await place.records.add(image.id, { ...(image.base && { base: image.base }), ...index });
    }
  };
  const after = record();
  const named = options.names.map((name) => known.set({ name, descriptor: root }, { after }));
  await allDone([after, ...named]);
  return {
    ...group,
    members: group.members.map((member) => ({ ...member, image: { ...member.image, root } })),
  };
}

/** Waits for all of them, also when one fails: then nothing is under way any more. @throws the first one's failure */
async function allDone(works: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
}
