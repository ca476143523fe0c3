import { rm } from "node:fs/promises";
import { join } from "node:path";
import { diffId, type DiffId, isDigest } from "../core/index.ts";
import { asObject, readJsonFile, writeJsonFile } from "./json-file.ts";
import { listNames } from "./list-names.ts";
import { parseDescriptorRecord } from "./records.ts";
import type { LayerOrigin, LayerOriginIndex } from "./types.ts";

/** Places of one layer; whoever needs more than these has bad luck with all of them. */
const maxOrigins = 4;

/** `<diffId>.json` below `directory`. Two processes that add at the same time may lose one: it is a hint. */
export function openLayerOrigins(directory: string, tmpDir: string): LayerOriginIndex {
  const pathOf = (layer: DiffId): string => join(directory, `${layer.replace(":", "-")}.json`);
  const get = async (layer: DiffId): Promise<readonly LayerOrigin[]> =>
    (await readJsonFile(pathOf(layer), parseOrigins)) ?? [];
  return {
    get,
    add: async (layer, origin) => {
      const known = await get(layer);
      const isKnown = known.some((each) => nameOf(each) === nameOf(origin));
      if (isKnown) return;
      const { blob, place, created } = origin;
      const { mediaType, digest, size } = blob;
      const added = { blob: { mediaType, digest, size }, place, created };
      const value = { origins: [added, ...known].slice(0, maxOrigins) };
      await writeJsonFile({ path: pathOf(layer), tmpDir, value });
    },
    remove: async (layer) => rm(pathOf(layer), { force: true }),
    list: () => listLayers(directory),
  };
}

function nameOf({ blob, place }: LayerOrigin): string {
  return `${blob.digest} ${place}`;
}

function parseOrigins(value: unknown): readonly LayerOrigin[] | undefined {
  const origins = asObject(value)?.["origins"];
  if (!Array.isArray(origins)) return undefined;
  return origins.flatMap((each: unknown) => {
    const { blob, place, created } = asObject(each) ?? {};
    const descriptor = parseDescriptorRecord(blob);
    if (descriptor === undefined || typeof place !== "string") return [];
    return { blob: descriptor, place, ...(typeof created === "string" ? { created } : {}) };
  });
}

async function* listLayers(directory: string): AsyncGenerator<DiffId> {
  for (const file of await listNames(directory)) {
    const digest = file.replace(/\.json$/, "").replace("-", ":");
    if (isDigest(digest)) yield diffId(digest);
  }
}
