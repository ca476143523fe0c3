import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { diffId, type DiffId, type Digest, errnoOf, isDigest, removeTree } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";
import { listNames } from "./list-names.ts";
import { parseDescriptorRecord } from "./records.ts";
import type { LayerBlobIndex } from "./types.ts";

/**
 * `<diffId>/<digest>.json` below `directory`: a file for each pair, so that two processes which add blobs of one layer
 * at the same time do not lose either.
 */
export function openLayerBlobs(directory: string, tmpDir: string): LayerBlobIndex {
  const folderOf = (layer: DiffId): string => join(directory, fileNameOf(layer));

  const get = async (layer: DiffId): Promise<readonly Descriptor[]> => {
    const found: Descriptor[] = [];
    for (const file of await listNames(folderOf(layer))) {
      const descriptor = await readJsonFile(join(folderOf(layer), file), parseDescriptorRecord);
      if (descriptor !== undefined) found.push(descriptor);
    }
    return found;
  };

  return {
    get,
    add: async (layer, descriptor) => {
      const path = join(folderOf(layer), `${fileNameOf(descriptor.digest)}.json`);
      await writeJsonFile({ path, tmpDir, value: descriptor });
    },
    remove: async (layer, blob) => {
      if (blob === undefined) return removeTree(folderOf(layer));
      await rm(join(folderOf(layer), `${fileNameOf(blob)}.json`), { force: true });
      await removeIfEmpty(folderOf(layer));
    },
    list: () => listLayers(directory),
  };
}

async function* listLayers(directory: string): AsyncGenerator<DiffId> {
  for (const file of await listNames(directory)) {
    const digest = file.replace("-", ":");
    if (isDigest(digest)) yield diffId(digest);
  }
}

function fileNameOf(digest: Digest): string {
  return digest.replace(":", "-");
}

async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
  }
}
