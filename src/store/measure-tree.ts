import { lstatSync, readdirSync } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { errnoOf } from "../core/index.ts";

/** Bytes of the files below a directory; each file counts once, whatever its names. Others may change it meanwhile. */
export async function measureTree(directory: string): Promise<number> {
  const seen = new Set<number>();
  const pending: Buffer[] = [Buffer.from(directory)];
  let bytes = 0;
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of list(folder)) {
      const path = Buffer.concat([folder, Buffer.from("/"), entry.name]);
      if (entry.isDirectory()) pending.push(path);
      if (!entry.isFile()) continue;
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined || seen.has(stat.ino)) continue;
      if (stat.nlink > 1) seen.add(stat.ino);
      bytes += stat.size;
    }
    await breathe();
  }
  return bytes;
}

function list(folder: Buffer) {
  try {
    return readdirSync(folder, { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
