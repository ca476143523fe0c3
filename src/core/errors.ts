import { constants } from "node:os";

/** A place in a text file. `line` and `column` are 1-based; `length` counts UTF-16 units on that line. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length?: number;
  /** Last line of a range that spans several lines (inclusive). */
  readonly endLine?: number;
}

/** Values that survive JSON without loss; error details and events carry nothing else. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

export interface TsbuildErrorOptions<Code extends string> {
  readonly code: Code;
  /** Lower case: what was attempted on what. No final period. */
  readonly message: string;
  /** What the user can do next. */
  readonly hint?: string | undefined;
  readonly location?: SourceLocation | undefined;
  readonly details?: { readonly [key: string]: JsonValue | undefined } | undefined;
  readonly cause?: unknown;
}

/**
 * The one base of every expected failure. `code` is stable and meant for programs; callers branch on it and
 * never on `message`. Each folder subclasses or instantiates it with its own closed union of codes.
 */
export class TsbuildError<Code extends string = string> extends Error {
  override readonly name = "TsbuildError";
  readonly code: Code;
  readonly hint: string | undefined;
  readonly location: SourceLocation | undefined;
  readonly details: { readonly [key: string]: JsonValue | undefined };

  constructor(options: TsbuildErrorOptions<Code>) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.hint = options.hint;
    this.location = options.location;
    this.details = options.details ?? {};
  }
}

/** The same failure told with a place in a file, for errors that were raised where the place was not known. */
export function locateError(error: unknown, location: SourceLocation): unknown {
  if (!(error instanceof TsbuildError) || error.location !== undefined) return error;
  return retold(error as TsbuildError, { location });
}

/** The same failure told in other words or with more details, for those who know better what it means here. */
export function retold(
  { code, message, hint, location, details, cause }: TsbuildError,
  other: Pick<Partial<TsbuildErrorOptions<string>>, "message" | "hint" | "location" | "details">,
): TsbuildError {
  return new TsbuildError({
    ...{ code, message, hint, location, cause },
    ...other,
    details: { ...details, ...other.details },
  });
}

/** Whether `error` is a TsbuildError, optionally one with the given code. */
export function isTsbuildError(error: unknown, code?: string): error is TsbuildError {
  return error instanceof TsbuildError && (code === undefined || error.code === code);
}

/** The same failure, marked as one that another try may not meet. */
export function asRetryable(error: TsbuildError): TsbuildError {
  return retold(error, { details: { isRetryable: true } });
}

/** The `code` of a Node system error such as "ENOENT"; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  if (typeof error.code !== "string") return undefined;
  // libuv has no name for EDQUOT and some others.
  if (error.code.startsWith("Unknown system error") && "errno" in error) {
    return errnoNames.get(-Number(error.errno)) ?? error.code;
  }
  return error.code;
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** Proves at compile time that a switch over a union is complete. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** Codes of failures that belong to no single folder. */
export type CoreErrorCode =
  | "REFERENCE_INVALID"
  | "GIT_REFERENCE_INVALID"
  | "DIGEST_INVALID"
  | "DIGEST_MISMATCH"
  | "SIZE_MISMATCH"
  | "PLATFORM_INVALID"
  | "HTTP_FAILED"
  | "HTTP_TIMEOUT"
  | "SYSCALL_FAILED"
  | "SYSCALLS_UNAVAILABLE"
  | "DISK_FULL"
  /** A pipe, a device or a directory where a file is meant, or a file that is far too large. */
  | "FILE_UNSUITABLE"
  | "CANCELED"
  | "INTERNAL";

export function coreError(
  code: CoreErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<CoreErrorCode>, "code" | "message"> = {},
): TsbuildError<CoreErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
