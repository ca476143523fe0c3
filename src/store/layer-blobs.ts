import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { diffId, type DiffId, type Digest, errnoOf, isDigest, removeTree } from "../core/index.ts";
import { asObject, readJsonFile, writeJsonFile } from "./json-file.ts";
import { listNames } from "./list-names.ts";
import { parseDescriptorRecord } from "./records.ts";
import type { BlobLevel, LayerBlob, LayerBlobIndex } from "./types.ts";

/**
 * `<diffId>/<digest>.json` below `directory`: a file for each pair, so that two processes which add blobs of one layer
 * at the same time do not lose either.
 */
export function openLayerBlobs(directory: string, tmpDir: string): LayerBlobIndex {
  const folderOf = (layer: DiffId): string => join(directory, fileNameOf(layer));
  const pathOf = (layer: DiffId, blob: Digest): string =>
    join(folderOf(layer), `${fileNameOf(blob)}.json`);

  const get = async (layer: DiffId): Promise<readonly LayerBlob[]> => {
    const found: LayerBlob[] = [];
    for (const file of await listNames(folderOf(layer))) {
      const blob = await readJsonFile(join(folderOf(layer), file), parseLayerBlob);
      if (blob !== undefined) found.push(blob);
    }
    return found;
  };

  return {
    get,
    add: async (layer, blob) => {
      const path = pathOf(layer, blob.digest);
      // A level that another process adds now may be lost: then the layer is compressed once more.
      const known = await readJsonFile(path, parseLayerBlob);
      const levels = [...new Set([...(known?.levels ?? []), ...(blob.levels ?? [])])];
      const value = levels.length === 0 ? blob : { ...blob, levels };
      await writeJsonFile({ path, tmpDir, value });
    },
    remove: async (layer, blob) => {
      if (blob === undefined) return removeTree(folderOf(layer));
      await rm(pathOf(layer, blob), { force: true });
      await removeIfEmpty(folderOf(layer));
    },
    list: () => listLayers(directory),
  };
}

function parseLayerBlob(value: unknown): LayerBlob | undefined {
  const blob = parseDescriptorRecord(value);
  if (blob === undefined) return undefined;
  const { mediaType, digest, size } = blob;
  const levels = asObject(value)?.["levels"];
  const known = Array.isArray(levels) ? levels.filter(isLevel) : [];
  return { mediaType, digest, size, ...(known.length === 0 ? {} : { levels: known }) };
}

function isLevel(value: unknown): value is BlobLevel {
  return typeof value === "number" || value === "own";
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
