import { isTsbuildError, TsbuildError } from "../core/index.ts";
import { rootPathToString } from "./paths.ts";

/** Longer names are cut: an error is for people, and an archive may announce names of a megabyte. */
const shownLength = 256;

/** A name as errors tell it: in one line, and without what a terminal would act on. */
export function showName(name: Buffer): string {
  const text = rootPathToString(name.subarray(0, shownLength));
  const shown = text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, escapeControl);
  return name.length > shownLength ? `${shown}…` : shown;
}

function escapeControl(character: string): string {
  if (character === "\n") return "\\n";
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/**
 * The failure of something that was done for the archive's entry `name`, told with that name; what names its entry
 * already, or is no failure of ours, stays as it is.
 */
export function tellEntry(error: unknown, name: Buffer): unknown {
  if (!isTsbuildError(error) || typeof error.details["entry"] === "string") return error;
  const entry = showName(name);
  return new TsbuildError({
    code: error.code,
    message: `unpack ${entry === "" ? "the root" : entry}: ${error.message}`,
    hint: error.hint,
    location: error.location,
    details: { ...error.details, entry },
    cause: error.cause,
  });
}
