import { lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf, type Syscalls } from "../core/index.ts";

/** Mount points that had to be made inside a complete tree. */
export type PlacedStubs = readonly {
  /** Removes it, unless something was put into it; its parent's time stays. */
  remove(): void;
}[];

/**
 * Makes what the skeleton directories hold and the tree lacks. A complete tree has no layer below it to put mount points
 * into; so they are real for the time of the mount.
 */
export function mountStubs(request: {
  readonly kernel: Syscalls;
  readonly directory: string;
  readonly skeleton: readonly string[];
}): PlacedStubs {
  const { kernel, directory } = request;
  const placed: { remove(): void }[] = [];
  for (const skeleton of request.skeleton) {
    for (const entry of readdirSync(skeleton, { recursive: true, withFileTypes: true })) {
      const source = join(entry.parentPath, entry.name);
      const path = join(directory, source.slice(skeleton.length));
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
      const parent = dirname(path);
      const mtime = lstatSync(parent, { bigint: true }).mtimeNs;
      if (entry.isDirectory()) mkdirSync(path, 0o755);
      else writeFileSync(path, "", { mode: 0o644, flag: "wx" });
      kernel.utimens(parent, { mtime });
      placed.push({
        remove: () => {
          // What the step did to the directory counts, our own removal does not.
          const before = lstatSync(parent, { bigint: true, throwIfNoEntry: false });
          if (before?.isDirectory() !== true) return;
          removeUnused(path);
          kernel.utimens(parent, { mtime: before.mtimeNs });
        },
      });
    }
  }
  return placed;
}

function removeUnused(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    if (stat.size === 0) unlinkSync(path);
    return;
  }
  try {
    rmdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOTEMPTY") throw error;
  }
}
