import { isTsbuildError } from "../../../core/index.ts";

/** Whether something that was to be written could not be read: the layers of caches may be why. */
export function isOfSource(error: unknown): boolean {
  if (!isTsbuildError(error)) return false;
  return error.code === "CACHE_LAYER_LOST" || error.details["side"] === "source";
}
