import { constants, openSync } from "node:fs";
import { errnoOf } from "./errors.ts";

/**
 * Opens a file or directory of ours to read it, without a trace: the first reading after a change gives it another access
 * time, and that goes through the journal of the file system, which may be busy writing the change itself.
 */
export function openUnseen(path: Buffer, flags = 0): number {
  const reading = constants.O_RDONLY | constants.O_NOFOLLOW | flags;
  try {
    return openSync(path, reading | constants.O_NOATIME);
  } catch (error) {
    // It is another's, and we have no privilege.
    if (errnoOf(error) !== "EPERM") throw error;
    return openSync(path, reading);
  }
}
