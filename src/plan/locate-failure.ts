import { locateError, type SourceLocation } from "../core/index.ts";

/** Runs `act`; an error that has no place yet gets this one. */
export function locateFailure<Result>(location: SourceLocation, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    throw locateError(error, location);
  }
}
