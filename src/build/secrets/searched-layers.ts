import { randomBytes, scryptSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { diffId, isDigest, type DiffId } from "../../core/index.ts";
import { asObject, isAbsence, readJsonFile, writeJsonFile } from "../../store/index.ts";

/** Whoever changes what is looked for raises it: what was searched before is searched again. */
const rules = 1;
/** The latest layers; of the others it is found out again. */
const mostLayers = 2000;
const mostFiles = 100;
const saltName = "salt.json";

/**
 * Which layers were searched for a set of secrets and found clean, so that a cached build does not read them again. One
 * file for each set below `directory`; its name tells nothing of the secrets without trying all of them, and a try takes
 * milliseconds.
 */
export interface SearchedLayers {
  has(layer: DiffId): boolean;
  add(layer: DiffId): void;
  /** Writes what was added; does nothing when that is nothing. */
  save(): Promise<void>;
}

/** Writes nothing: whoever only looks leaves no trace. */
export async function openSearchedLayers(options: {
  readonly directory: string;
  readonly tmpDir: string;
  readonly secrets: Iterable<Buffer>;
}): Promise<SearchedLayers> {
  const { directory, tmpDir } = options;
  const secrets = [...options.secrets];
  const pathWith = (salt: Buffer): string => join(directory, `${nameOf(secrets, salt)}.json`);
  const known = readSaltFile(join(directory, saltName));
  const layers = (known && (await readJsonFile(pathWith(known), parseLayers))) ?? new Set();
  let isChanged = false;
  return {
    has: (layer) => layers.has(layer),
    add: (layer) => {
      if (layers.has(layer)) return;
      layers.add(layer);
      isChanged = true;
    },
    save: async () => {
      if (!isChanged) return;
      const path = pathWith(await readSalt(directory, tmpDir));
      await writeJsonFile({ path, tmpDir, value: { layers: [...layers].slice(-mostLayers) } });
      await dropOldest(directory);
    },
  };
}

/** Tokens that change every hour leave a file each. */
async function dropOldest(directory: string): Promise<void> {
  const names = await readdir(directory);
  if (names.length <= mostFiles) return;
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      // Another process may do the same.
      const found = await stat(path).catch(() => undefined);
      return { path, name, time: found?.mtimeMs ?? 0 };
    }),
  );
  const oldest = files.filter(({ name }) => name !== saltName).sort((a, b) => a.time - b.time);
  for (const { path } of oldest.slice(0, names.length - mostFiles)) await rm(path, { force: true });
}

/** The order of the secrets and their ids have no say in what is found. */
function nameOf(secrets: Iterable<Buffer>, salt: Buffer): string {
  const sorted = [...secrets].sort((a, b) => a.compare(b));
  const lengths = sorted.map((secret) => secret.length);
  const all = Buffer.concat([Buffer.from(JSON.stringify([rules, lengths])), ...sorted]);
  // Some milliseconds, and 1 MiB.
  return scryptSync(all, salt, 24, { N: 1024, r: 8, p: 1 }).toString("hex");
}

async function readSalt(directory: string, tmpDir: string): Promise<Buffer> {
  const path = join(directory, saltName);
  const known = readSaltFile(path);
  if (known !== undefined) return known;
  const value = randomBytes(32).toString("hex");
  await writeJsonFile({ path, tmpDir, value: { salt: value } });
  // Another process may have written its own just now: the last one counts.
  return readSaltFile(path) ?? Buffer.from(value, "hex");
}

function readSaltFile(path: string): Buffer | undefined {
  try {
    const { salt } = asObject(JSON.parse(readFileSync(path, "utf8"))) ?? {};
    return typeof salt === "string" && /^[0-9a-f]{64}$/.test(salt)
      ? Buffer.from(salt, "hex")
      : undefined;
  } catch (error) {
    if (isAbsence(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function parseLayers(value: unknown): Set<DiffId> | undefined {
  const { layers } = asObject(value) ?? {};
  if (!Array.isArray(layers)) return undefined;
  return new Set(
    layers.filter((layer) => typeof layer === "string" && isDigest(layer)).map(diffId),
  );
}
