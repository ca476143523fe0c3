import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "./errors.ts";

/**
 * Makes a folder with those above it; one that is there is success. Unlike Node's recursive mkdir it says why it failed
 * (Node's tells a full or faulty disk as ENOENT), and it comes back from below /proc, where parents answer ENOENT whatever
 * one makes. Synchronous: mostly it is one call, which takes a tenth of the way through the thread pool.
 */
export function makeFolder(path: string, mode = 0o777): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (isThere(error, path)) return;
    const parent = dirname(path);
    if (errnoOf(error) !== "ENOENT" || parent === path) throw error;
    makeFolder(parent, mode);
    makeInParent(path, mode);
  }
}

/** The second and last try: where the parent came from other hands in between, the first one told that it was missing. */
function makeInParent(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (!isThere(error, path)) throw error;
  }
}

function isThere(error: unknown, path: string): boolean {
  return errnoOf(error) === "EEXIST" && isDirectory(path);
}

/** Follows links, as mkdir does for all but the last component. */
function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
