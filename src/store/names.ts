import { rm } from "node:fs/promises";
import { join } from "node:path";
import { canonicalJson, type Clock } from "../core/index.ts";
import { listNames } from "./blobs.ts";
import { readJsonFile, writeJsonFile } from "./json-file.ts";
import { fileNameFor } from "./layout.ts";
import { parseNameRecord } from "./records.ts";
import type { NameRecord, NameStore } from "./types.ts";

/** Image names below `directory`, one small file each; the record says its name, the file's name only finds it. */
export function openNames(place: {
  readonly directory: string;
  readonly tmpDir: string;
  readonly clock: Clock;
}): NameStore {
  const { directory, tmpDir, clock } = place;
  const pathOf = (name: string): string => join(directory, `${fileNameFor(name)}.json`);

  const get = async (name: string): Promise<NameRecord | undefined> => {
    const record = await readJsonFile(pathOf(name), parseNameRecord);
    return record?.name === name ? record : undefined;
  };

  return {
    get,
    set: async (wanted) => {
      const present = await get(wanted.name);
      // A rebuild that changed nothing writes nothing.
      if (present !== undefined && isSame(present, wanted)) return;
      const value = { ...wanted, updated: clock.now().toISOString() };
      await writeJsonFile({ path: pathOf(wanted.name), tmpDir, value, durable: true });
    },
    remove: async (name) => {
      const wasThere = (await get(name)) !== undefined;
      await rm(pathOf(name), { force: true });
      return wasThere;
    },
    list: async () => {
      const files = (await listNames(directory)).filter((file) => file.endsWith(".json"));
      const records: NameRecord[] = [];
      for (const file of files) {
        const record = await readJsonFile(join(directory, file), parseNameRecord);
        if (record !== undefined && file === `${fileNameFor(record.name)}.json`)
          records.push(record);
      }
      return records.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

function isSame(present: NameRecord, wanted: Omit<NameRecord, "updated">): boolean {
  const { updated: _, ...rest } = present;
  return canonicalJson(rest) === canonicalJson(wanted);
}
