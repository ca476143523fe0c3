import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, isDigest, isTsbuildError, mediaTypes, type Digest } from "../core/index.ts";
import { parseIndex, serializeIndex, type Descriptor } from "../image/index.ts";
import { asObject, readJsonFile, writeJsonFile, type Store } from "../store/index.ts";

/** An image of a list, and where its content is. */
export interface ListedImage {
  /** As the list will have it: with platform and annotations. */
  readonly descriptor: Descriptor;
  /** How it was named when it was added; whoever adds the same name again replaces it. */
  readonly reference: string;
  /** Full name of the repository that has its layers; absent for an image of this store. */
  readonly repository?: string;
}

/** A list of images that is being put together. Its images keep their bytes and lie wherever they are. */
export interface ManifestList {
  /** Normalised, with a tag. */
  readonly name: string;
  readonly images: readonly ListedImage[];
  /** Of the list itself. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Lists by name: `manifests/<hex of the name's digest>.json`, replaced by rename. They are no images: nothing runs them,
 * and an image may have the same name. What they name (manifests and configs in the store, layers where they lie there)
 * is a root of gc.
 */
export interface ManifestLists {
  get(name: string): Promise<ManifestList | undefined>;
  /** Changes what is known, while no other process does; undefined from `change` removes the list. */
  update(
    name: string,
    change: (known: ManifestList | undefined) => Promise<ManifestList | undefined>,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Sorted by name. */
  list(): Promise<readonly ManifestList[]>;
}

export function openManifestLists(store: Store): ManifestLists {
  const directory = join(store.root, "manifests");
  const pathOf = (name: string): string =>
    join(directory, `${createHash("sha256").update(name).digest("hex")}.json`);
  const get = async (name: string): Promise<ManifestList | undefined> =>
    readJsonFile(pathOf(name), parseList);
  return {
    get,
    update: async (name, change, signal) =>
      store.withLock(
        `manifests ${name}`,
        async () => {
          const changed = await change(await get(name));
          if (changed === undefined) return rm(pathOf(name), { force: true });
          const { tmpDir } = store;
          await writeJsonFile({
            path: pathOf(name),
            tmpDir,
            value: toRecord(changed),
            durable: true,
          });
        },
        signal,
      ),
    list: async () => {
      const names = (await readNames(directory)).filter((name) => name.endsWith(".json"));
      const lists = await Promise.all(
        names.map(async (name) => readJsonFile(join(directory, name), parseList)),
      );
      return lists.filter((list) => list !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

/** The index as a document, so that what reads indexes reads this too; what no index says stands beside it. */
function toRecord({ name, images, annotations }: ManifestList): unknown {
  const manifests = images.map(({ descriptor }) => descriptor);
  const index = serializeIndex({
    ...{ mediaType: mediaTypes.ociIndex, manifests },
    ...(annotations === undefined ? {} : { annotations }),
  });
  return {
    name,
    index: index.toString(),
    origins: images.map(({ reference, repository }) => ({ reference, repository })),
  };
}

function parseList(value: unknown): ManifestList | undefined {
  const { name, index: text, origins } = asObject(value) ?? {};
  if (typeof name !== "string" || typeof text !== "string" || !Array.isArray(origins))
    return undefined;
  try {
    const { manifests, annotations } = parseIndex(Buffer.from(text));
    const images = manifests.map((descriptor, at) => ({ descriptor, ...parseOrigin(origins[at]) }));
    return { name, images, ...(annotations === undefined ? {} : { annotations }) };
  } catch (error) {
    if (isTsbuildError(error, "IMAGE_INVALID")) return undefined;
    throw error;
  }
}

function parseOrigin(value: unknown): Omit<ListedImage, "descriptor"> {
  const { reference, repository } = asObject(value) ?? {};
  return {
    reference: typeof reference === "string" ? reference : "",
    ...(typeof repository === "string" ? { repository } : {}),
  };
}

async function readNames(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** The image of a list that a word means: its digest, or how it was named when it was added. */
export function findListed({ images }: ManifestList, word: string): readonly ListedImage[] {
  const digest: Digest | undefined = isDigest(word) ? word : undefined;
  return images.filter(
    ({ descriptor, reference }) => descriptor.digest === digest || reference === word,
  );
}
