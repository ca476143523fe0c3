import { claimPartial, diskFull, errnoOf, isDiskFull, isTsbuildError } from "../core/index.ts";
import { archiveError } from "./errors.ts";

/** Has a file written that appears under its name when it is whole. Failures are what `write` throws, and Node's own. */
export async function replaceFile(
  path: string,
  write: (partial: string) => Promise<void>,
): Promise<void> {
  const partial = await claimPartial(path, "file");
  try {
    await write(partial.path);
    await partial.commit();
  } catch (error) {
    await partial.remove();
    throw error;
  }
}

/** What went wrong while a directory was written, as an error of ours where it is one of the file system's. */
export function writeError(error: unknown, label: string): unknown {
  if (isTsbuildError(error)) return error;
  const reason = errnoOf(error);
  if (isDiskFull(error)) return diskFull(label, error);
  // A stream that was stopped from outside has its own way of being told.
  if (reason === undefined || reason === "ABORT_ERR") return error;
  return archiveError("ARCHIVE_WRITE_FAILED", `write ${label}: ${reason}`, {
    hint: "give a directory that can be written",
    details: { path: label, reason },
    cause: error,
  });
}
