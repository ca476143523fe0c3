import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { diskFull, errnoOf, isDiskFull } from "../../core/index.ts";
import { apiError, usageError } from "../errors.ts";
import type { OutputSpec } from "./types.ts";

/** Fails before the build when the place cannot be written after it. @throws OUTPUT_FAILED, USAGE */
export async function checkOutput(output: OutputSpec): Promise<void> {
  switch (output.type) {
    case "local":
      return checkDirectory(output.destination);
    case "oci":
    case "docker":
    case "tar": {
      const isDirectory = output.type !== "tar" && !output.isTar;
      if (isDirectory) return checkDirectory(output.destination);
      return output.destination === "-" ? refuseTerminal() : checkFolderOf(output.destination);
    }
    case "image":
    case "cacheonly":
      return;
  }
}

/** @throws USAGE */
function refuseTerminal(): void {
  if (!process.stdout.isTTY) return;
  throw usageError(
    "write an archive to a terminal",
    "give a file with dest=, or redirect the output",
  );
}

/** Whether a file can be put there: its folder exists, and no folder has its name. @throws OUTPUT_FAILED */
export async function checkFolderOf(path: string): Promise<void> {
  // No name at all leads to the folder where we are.
  const place = resolve(path);
  const found = await stat(place).catch(() => undefined);
  if (found?.isDirectory() === true) throw outputFailed(path, undefined);
  try {
    if ((await stat(dirname(place))).isDirectory()) return;
  } catch (error) {
    throw outputFailed(path, error);
  }
  throw outputFailed(path, undefined);
}

/** Whether a directory is there, or nothing: then it is made, parents and all. */
async function checkDirectory(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw outputFailed(path, error);
  });
  if (found === undefined || found.isDirectory()) return;
  throw apiError("OUTPUT_FAILED", `write output to ${path}: it is no directory`, {
    hint: "give the name of a directory, or of one that is to be made",
    details: { destination: path },
  });
}

/** OUTPUT_FAILED for a place, which may be standard output too; DISK_FULL where that is why. */
export function outputFailed(destination: string, cause: unknown): Error {
  if (isDiskFull(cause)) return diskFull(destination, cause);
  const errno = errnoOf(cause);
  return apiError("OUTPUT_FAILED", `write output to ${destination}`, {
    hint: "give the name of a file in a folder that exists and is writable",
    details: { destination, ...(errno === undefined ? {} : { errno }) },
    cause,
  });
}
