import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { canonicalJson, type Digest, digestHex, errnoOf, isDigest } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { asObject, parseDescriptorRecord, readJsonFile, writeJsonFile } from "../store/index.ts";

/** What is known of an image beside its config. */
export interface ImageRecord {
  /** The manifest it came with. */
  readonly manifest?: Descriptor;
  /** Manifest of the image it was built on, which tells where its lower layers can be had compressed. */
  readonly base?: Descriptor;
  /** The index that it was last built for, together with images for other platforms. */
  readonly index?: Descriptor;
}

/**
 * Which images are here, with or without a name: `images/<hex of config digest>.json`. An image is forgotten by removing
 * its record; a name alone finds its image too, so losing a record loses no named image.
 */
export interface ImageRecords {
  get(id: Digest): Promise<ImageRecord | undefined>;
  /** Adds to what is known. Writes nothing when nothing is new. */
  add(id: Digest, record: ImageRecord): Promise<void>;
  /** Forgets which index it is in, when it is that one. */
  leaveIndex(id: Digest, index: Digest): Promise<void>;
  /** Idempotent. */
  remove(id: Digest): Promise<void>;
  /** IDs in byte order. */
  list(): Promise<readonly Digest[]>;
}

export function openImageRecords(directory: string, tmpDir: string): ImageRecords {
  const pathOf = (id: Digest): string => join(directory, `${digestHex(id)}.json`);
  const get = async (id: Digest): Promise<ImageRecord | undefined> =>
    readJsonFile(pathOf(id), parseImageRecord);
  return {
    get,
    add: async (id, record) => {
      const known = await get(id);
      const value = { ...known, ...record };
      if (known !== undefined && canonicalJson(known) === canonicalJson(value)) return;
      await writeJsonFile({ path: pathOf(id), tmpDir, value });
    },
    leaveIndex: async (id, digest) => {
      const { index, ...value } = (await get(id)) ?? {};
      if (index?.digest === digest) await writeJsonFile({ path: pathOf(id), tmpDir, value });
    },
    remove: async (id) => rm(pathOf(id), { force: true }),
    list: async () => listIds(directory),
  };
}

function parseImageRecord(value: unknown): ImageRecord | undefined {
  const object = asObject(value);
  if (object === undefined) return undefined;
  const manifest = parseDescriptorRecord(object["manifest"]);
  const base = parseDescriptorRecord(object["base"]);
  const index = parseDescriptorRecord(object["index"]);
  return {
    ...(manifest === undefined ? {} : { manifest }),
    ...(base === undefined ? {} : { base }),
    ...(index === undefined ? {} : { index }),
  };
}

async function listIds(directory: string): Promise<readonly Digest[]> {
  let names: readonly string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
  const ids = names.map((name) => `sha256:${name.replace(/\.json$/, "")}`);
  return ids.filter(isDigest).sort();
}
