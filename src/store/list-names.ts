import { readdir } from "node:fs/promises";
import { isAbsence } from "./json-file.ts";

/** Entries of a directory in byte order; none when it is missing. */
export async function listNames(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}
