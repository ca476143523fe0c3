import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type AtomicFile, canonicalJson, type Clock, removeTree } from "../core/index.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";
import { fileNameFor } from "./layout.ts";
import { listNames } from "./list-names.ts";
import { parseNameRecord } from "./records.ts";
import type { NameRecord, NameStore } from "./types.ts";

/** Image names below `directory`, one small file each; the record says its name, the file's name only finds it. */
export function openNames(place: {
  readonly directory: string;
  readonly tmpDir: string;
  readonly clock: Clock;
  /** `FilesystemSync.shared`. */
  readonly sharedSync: () => AtomicFile["sync"];
}): NameStore {
  const { directory, tmpDir, clock, sharedSync } = place;
  const pathOf = (name: string): string => join(directory, `${fileNameFor(name)}.json`);

  const get = async (name: string): Promise<NameRecord | undefined> => {
    const record = await readJsonFile(pathOf(name), parseNameRecord);
    return record?.name === name ? record : undefined;
  };

  const readAll = async (): Promise<{ file: string; record: NameRecord | undefined }[]> => {
    const found: { file: string; record: NameRecord | undefined }[] = [];
    for (const file of await listNames(directory)) {
      const record = await readJsonFile(join(directory, file), parseNameRecord);
      const isIt = record !== undefined && file === `${fileNameFor(record.name)}.json`;
      found.push({ file, record: isIt ? record : undefined });
    }
    return found;
  };

  const listDamaged = async (): Promise<readonly string[]> =>
    (await readAll()).filter(({ record }) => record === undefined).map(({ file }) => file);

  return {
    get,
    set: async (wanted, { after } = {}) => {
      const path = pathOf(wanted.name);
      const present = await get(wanted.name);
      // A rebuild that changed nothing writes nothing.
      if (present !== undefined && isSame(present, wanted)) {
        await after;
        return;
      }
      const value = { ...wanted, updated: clock.now().toISOString() };
      await writeJsonFile({ path, tmpDir, value, durable: true, sync: sharedSync(), after });
    },
    remove: async (name) => {
      const wasThere = (await get(name)) !== undefined;
      await rm(pathOf(name), { force: true });
      return wasThere;
    },
    list: async () => {
      const records = (await readAll()).flatMap(({ record }) => record ?? []);
      return records.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    listDamaged,
    sweep: async () => {
      const damaged = await listDamaged();
      for (const file of damaged) await removeTree(join(directory, file));
      return damaged.length;
    },
  };
}

function isSame(present: NameRecord, wanted: Omit<NameRecord, "updated">): boolean {
  const { updated: _, ...rest } = present;
  return canonicalJson(rest) === canonicalJson(wanted);
}
