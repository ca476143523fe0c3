import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { JobThread } from "../core/index.ts";

/** Where the package has `file-thread.ts`: the library lies in a folder beside it. */
const script = join(import.meta.dirname, "../file-thread.js");

/** A thread for files, not started yet; undefined where it would not help, and where the package is not built. */
export function openFileThread(): JobThread | undefined {
  return availableParallelism() > 1 && existsSync(script) ? new JobThread(script) : undefined;
}
