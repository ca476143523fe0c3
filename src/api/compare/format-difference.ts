import { isTsbuildError } from "../../core/index.ts";
import type { ImageDifference } from "./compare-images.ts";

/** One difference as a line: where, what, and both values. */
export function formatDifference(difference: ImageDifference): string {
  const { platform, place, path, field, first, second } = difference;
  const where = [platform, place, path === "" ? undefined : path];
  const what = field === "value" ? "" : `${field} `;
  const shown = where.filter((part) => part !== undefined).join(": ");
  return `${shown}: ${what}${first}, then ${second}`;
}

/** What BUILD_NOT_REPRODUCIBLE carries; empty for any other error. */
export function differencesOf(error: unknown): readonly ImageDifference[] {
  if (!isTsbuildError(error, "BUILD_NOT_REPRODUCIBLE")) return [];
  return error.details["differences"] as unknown as readonly ImageDifference[];
}
