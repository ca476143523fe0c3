import { readdir, readFile, rename, unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { errnoOf, makeFolder } from "../core/index.ts";

/** What a process that was killed had moved away. Whoever calls this has locked the instance. */
export async function bringAllBack(path: string): Promise<void> {
  for (const { home, place, note } of await readNotes(path)) {
    await rename(place, home).catch((error: unknown) => {
      // It was home already, or is gone with what it lay in: then it is empty, as a new one would be.
      if (!["ENOENT", "ENOTEMPTY", "EEXIST", "EXDEV"].includes(errnoOf(error) ?? "")) throw error;
    });
    makeFolder(home);
    await unlink(note).catch(unlessGone);
  }
}

interface AwayNote {
  readonly home: string;
  readonly place: string;
  /** Path of the note itself. */
  readonly note: string;
}

export async function readNotes(path: string): Promise<readonly AwayNote[]> {
  const notes: AwayNote[] = [];
  for (const note of await entriesOf(path)) {
    if (!basename(note).startsWith("away-")) continue;
    const text = await readFile(note, "utf8").catch(unlessGone);
    const found = text === undefined ? undefined : parseNote(text);
    if (found !== undefined) notes.push({ ...found, note });
  }
  return notes;
}

/** undefined for one that was being written when its writer died: then nothing had been moved yet. */
function parseNote(text: string): { readonly home: string; readonly place: string } | undefined {
  try {
    const { home, place } = JSON.parse(text) as {
      readonly home?: unknown;
      readonly place?: unknown;
    };
    if (typeof home === "string" && typeof place === "string") return { home, place };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}

/** Absolute paths, sorted; none when the folder is not there. */
export async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort().map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

export function unlessGone(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
}
