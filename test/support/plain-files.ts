import type { PlainFiles } from "../../src/core/index.ts";
import type { StatKey } from "../../src/layer/index.ts";

/** Their paths, one character a byte. */
export function pathsOf(files: PlainFiles): readonly string[] {
  return files.names.map((_, index) => files.pathOf(index));
}

/** What is told of the version of each. */
export function versionsIn(files: PlainFiles): readonly StatKey[] {
  return files.names.map((_, index) => ({
    path: files.pathOf(index),
    ...files.versions.get(index),
  }));
}
