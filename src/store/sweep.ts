import { readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, errnoOf, removeTree } from "../core/index.ts";
import { probeFolder, retire, tmpEntryKind } from "./process-folder.ts";

/** What sweeping `tmp/` did. */
export interface SweepReport {
  /** Names of removed folders. */
  readonly removed: readonly string[];
  /** Folders that stayed although nobody needs them, for example because they hold files of other users. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/** Folders without a lock are left alone while they are younger than this, in milliseconds. */
const patience = 60 * 60 * 1000;

/**
 * Removes what dead processes left in `tmp`; folders of living ones stay, and so does what is not ours. Any number of
 * processes may sweep at once. Rejects only when `tmp` itself cannot be read or `signal` is aborted.
 */
export async function sweepTmp(
  tmp: string,
  options: {
    readonly own: string;
    readonly clock: Clock;
    readonly signal?: AbortSignal | undefined;
    /** Saves what others may miss from the folder of a dead process. */
    readonly rescue?: ((folder: string) => Promise<void>) | undefined;
  },
): Promise<SweepReport> {
  const { own, clock, signal, rescue } = options;
  const removed: string[] = [];
  const failures: { name: string; reason: string }[] = [];
  // Synchronous, because nearly always there is nothing but our own folder.
  for (const name of readdirSync(tmp)) {
    signal?.throwIfAborted();
    if (name === own) continue;
    try {
      const garbage = await takeGarbage(tmp, name, { clock, rescue });
      if (garbage === undefined) continue;
      await removeTree(garbage, signal);
      removed.push(name);
    } catch (error) {
      signal?.throwIfAborted();
      failures.push({ name, reason: errnoOf(error) ?? String(error) });
    }
  }
  return { removed, failures };
}

/** Path of what is now nobody's; undefined when somebody may need the entry. */
async function takeGarbage(
  tmp: string,
  name: string,
  { clock, rescue }: Pick<Parameters<typeof sweepTmp>[1], "clock" | "rescue">,
): Promise<string | undefined> {
  const path = join(tmp, name);
  switch (tmpEntryKind(name)) {
    case "old":
      return path;
    case "new":
      return (await isOld(path, clock)) ? path : undefined;
    case "process": {
      const state = await probeFolder(path);
      const isGarbage = state === "dead" || (state === "unlocked" && (await isOld(path, clock)));
      if (!isGarbage) return undefined;
      await rescue?.(path);
      return retire(tmp, name);
    }
    case "foreign":
      return undefined;
  }
}

async function isOld(path: string, clock: Clock): Promise<boolean> {
  try {
    return clock.now().getTime() - (await stat(path)).mtimeMs > patience;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
