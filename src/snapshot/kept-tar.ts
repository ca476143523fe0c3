import { randomBytes } from "node:crypto";
import {
  existsSync,
  linkSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../core/index.ts";

const filesName = "fs";
const tarName = "layer.tar";
/** Says of files that were made of the tar beside them whether they count, and whether the tar may go. */
const markName = "unpacked.json";

/**
 * In which form the folder of a snapshot has its layer: its files, its tar, or files that were made of the tar beside
 * them, which stays until a sync came after them.
 */
export type KeptForm = "files" | "tar" | "both";

/** What is known of files that lie beside their tar. */
interface UnpackedMark {
  /** They count in this boot; in every one where it is absent, since a sync came after them. */
  readonly bootId?: string;
  /** Whether the tar of the files is that very tar, which nobody needs then. */
  readonly isExact: boolean;
}

/** Absolute path of the files in the folder of a snapshot. */
export function filesIn(folder: string): string {
  return join(folder, filesName);
}

/** Absolute path of the tar in the folder of a snapshot, or of a layer that is written. */
export function tarIn(folder: string): string {
  return join(folder, tarName);
}

/** undefined when nothing is there. `bootId` names this boot. */
export function keptFormOf(folder: string, bootId: () => string): KeptForm | undefined {
  // In this order: the tar goes when the files are there.
  const hasTar = existsSync(tarIn(folder));
  if (!existsSync(filesIn(folder))) return hasTar ? "tar" : undefined;
  if (!hasTar) return "files";
  if (countingMark(folder, bootId) !== undefined) return "both";
  // The mark goes behind the tar.
  return existsSync(tarIn(folder)) ? "tar" : "files";
}

/** To be called before the files come by a rename. */
export function markUnpacked(folder: string, mark: Required<UnpackedMark>): void {
  writeMark(folder, mark);
}

/** A sync came after the files: the tar goes, or else both stay. */
export function keepUnpacked(folder: string): void {
  const mark = readMark(folder);
  if (mark?.bootId === undefined) return;
  if (!mark.isExact) return writeMark(folder, { isExact: false });
  rmSync(tarIn(folder), { force: true });
  rmSync(join(folder, markName), { force: true });
}

/** Files that a sync may have lost count no more, the tar does. */
export function distrustUnpacked(folder: string): void {
  if (readMark(folder)?.bootId !== undefined) rmSync(join(folder, markName), { force: true });
}

/** Whether files that lie beside their tar, or did a moment ago, are to give its digest again. */
export function areFilesExact(folder: string): boolean {
  return readMark(folder)?.isExact !== false;
}

/** Gives a tar another name: one more where the filesystem can do that. */
export function linkTar(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== "EMLINK" && errnoOf(error) !== "EPERM") throw error;
    copyFileSync(from, to);
  }
}

function countingMark(folder: string, bootId: () => string): UnpackedMark | undefined {
  const mark = readMark(folder);
  return mark?.bootId === undefined || mark.bootId === bootId() ? mark : undefined;
}

function writeMark(folder: string, mark: UnpackedMark): void {
  const path = join(folder, markName);
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  writeFileSync(draft, `${JSON.stringify({ version: 1, ...mark })}\n`);
  renameSync(draft, path);
}

function readMark(folder: string): UnpackedMark | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, markName), "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { version, bootId, isExact } = JSON.parse(text) as Partial<
      Record<string, string | number | boolean>
    >;
    if (version !== 1 || typeof isExact !== "boolean") return undefined;
    return typeof bootId === "string" ? { bootId, isExact } : { isExact };
  } catch {
    // Half-written before a power cut: as good as absent.
    return undefined;
  }
}
