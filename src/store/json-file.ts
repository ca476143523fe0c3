import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { type AtomicFile, makeFolder, errnoOf, writeFileAtomic } from "../core/index.ts";

/** A small record on disk and where its temporary file may lie. */
export interface JsonFile {
  readonly path: string;
  /** On the same filesystem as `path`. */
  readonly tmpDir: string;
  readonly value: unknown;
  /** fsync before the rename: for records that must not vanish in a power cut. */
  readonly durable?: boolean;
  /** As `AtomicFile` has them. */
  readonly sync?: AtomicFile["sync"];
  readonly after?: AtomicFile["after"];
}

/**
 * The record in a file as `parse` understands it; undefined when there is none, and when what lies there is damaged or
 * foreign. Failures to read (EACCES, EIO, EMFILE …) throw: taking those for absence would let gc delete what is in use.
 */
export async function readJsonFile<T>(
  path: string,
  parse: (value: unknown) => T | undefined,
): Promise<T | undefined> {
  // The promise is for callers who wait for other things too; the file is too small to leave this thread for.
  return readJsonFileSync(path, parse);
}

/** The same at once. Through the thread pool a small file takes four ways, of 0.05 to 0.1 ms each. */
export function readJsonFileSync<T>(
  path: string,
  parse: (value: unknown) => T | undefined,
): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  return parseJson(text, parse);
}

/** Text as a record; undefined when it is no JSON or none that `parse` understands. */
export function parseJson<T>(
  text: string,
  parse: (value: unknown) => T | undefined,
): T | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // A half-written or damaged file is no record: everything that is kept this way can be made again.
    return undefined;
  }
  return parse(value);
}

/** Replaces the file by rename; its folder is made when it is missing. @throws DISK_FULL */
export async function writeJsonFile({ value, ...file }: JsonFile): Promise<void> {
  const text = `${JSON.stringify(value)}\n`;
  await writeTextFile({ ...file, content: () => text });
}

/** The same of text or bytes, whole or in parts; it may be asked for twice. */
export async function writeTextFile(
  file: Omit<JsonFile, "value"> & { readonly content: () => AtomicFile["content"] },
): Promise<void> {
  const { content, ...rest } = file;
  try {
    await writeFileAtomic({ ...rest, content: content() });
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    makeFolder(dirname(file.path));
    await writeFileAtomic({ ...rest, content: content() });
  }
}

/** Whether a failed system call says that nothing is there. A directory in place of a record counts as damage. */
export function isAbsence(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(errnoOf(error) ?? "");
}

/** An object whose members can be looked at; undefined for everything else, arrays included. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}
