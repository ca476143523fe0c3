import { explainSystemError, isTsbuildError, TsbuildError } from "../core/index.ts";
import { imageError } from "./errors.ts";

/** The two ends of a copy, as errors name them in `details.side`. */
export type CopySide = "source" | "sink";

/** Runs work that concerns one end of a copy; its failure tells which end it was. */
export async function onSide<T>(
  side: CopySide,
  place: { readonly label: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw tellSide(error, side, place);
  }
}

/** The same failure with `details.side` and `details.place`; foreign errors become IMAGE_COPY_FAILED. */
export function tellSide(
  error: unknown,
  side: CopySide,
  place: { readonly label: string },
): TsbuildError {
  const known = explainSystemError(error);
  if (isTsbuildError(known, "DISK_FULL") && known !== error) return tellSide(known, side, place);
  if (!(error instanceof TsbuildError)) {
    const work = side === "source" ? "read from" : "write to";
    const reason = error instanceof Error ? error.message : String(error);
    return imageError("IMAGE_COPY_FAILED", `${work} ${place.label}: ${reason}`, {
      hint: isTsbuildError(known) ? known.hint : undefined,
      cause: error,
      details: { side, place: place.label },
    });
  }
  if (error.details["side"] !== undefined) return error;
  return new TsbuildError<string>({
    code: error.code,
    message: error.message,
    hint: error.hint,
    location: error.location,
    details: { ...error.details, side, place: place.label },
    cause: error.cause,
  });
}
