import { lstatSync, readdirSync } from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { errnoOf } from "../core/index.ts";

/** PATH_MAX of Linux, with the final NUL. */
const maxPath = 4096;

/**
 * Bytes of a file, or of the files below a directory; each counts once, whatever its names. Others may change the tree
 * meanwhile. What lies deeper than a path can tell is left out.
 */
export async function measureTree(top: string): Promise<number> {
  const found = lstatSync(top, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) return found?.isFile() === true ? found.size : 0;
  const seen = new Set<number>();
  const pending: Buffer[] = [Buffer.from(top)];
  let bytes = 0;
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of list(folder)) {
      const path = Buffer.concat([folder, Buffer.from("/"), entry.name]);
      if (entry.isDirectory()) pending.push(path);
      if (!entry.isFile()) continue;
      if (path.length >= maxPath) continue;
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
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}
