import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../core/index.ts";

/** Locks anywhere; files half written among the objects (a branch may be named like one). */
const leftover = /\.lock$|^objects\/(?:.*\/)?tmp_/;

/**
 * Removes what git left in a repository when it was killed or found the disk full: a lock would keep everybody out for
 * ever, and half a pack takes room. Only for whoever has the repository to themselves.
 */
export async function sweepLeftovers(directory: string): Promise<void> {
  for (const name of await namesBelow(directory)) {
    if (leftover.test(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

async function namesBelow(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory, { recursive: true });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
