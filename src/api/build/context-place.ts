import { statSync } from "node:fs";
import { resolve } from "node:path";
import { hideCredentials, parseGitReference, type GitReference } from "../../core/index.ts";
import { apiError, usageError } from "../errors.ts";

/** Where the main build context is. */
export type ContextPlace =
  /** Absolute path. */
  | { readonly type: "directory"; readonly directory: string }
  | { readonly type: "stdin" }
  | { readonly type: "git"; readonly reference: GitReference }
  | { readonly type: "http"; readonly url: string };

/**
 * Tells what the last argument of `build` means: `-`, a directory that is there, a git repository, or another URL.
 * @throws CONTEXT_NOT_FOUND, GIT_REFERENCE_INVALID, USAGE
 */
export async function locateContext(context: string): Promise<ContextPlace> {
  if (context === "") throw usageError("use an empty name as the build context", contextHint);
  if (context === "-") return { type: "stdin" };
  const directory = findDirectory(context);
  if (directory.isDirectory) return { type: "directory", directory: directory.path };
  const reference = parseGitReference(context, { bareGithub: true });
  if (reference !== undefined) return { type: "git", reference };
  if (isHttpUrl(context)) return { type: "http", url: context };
  throw directory.isThere
    ? notFound(context, "not a directory", {
        hint: "give a directory; the Dockerfile is named with -f",
      })
    : notFound(context, "it cannot be read", { hint: contextHint, cause: directory.cause });
}

const contextHint =
  "the last argument is what COPY reads from: a directory such as `.`, a git repository, a URL, or - for standard input";

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

interface FoundDirectory {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly isThere: boolean;
  readonly cause?: unknown;
}

function findDirectory(context: string): FoundDirectory {
  const path = resolveHere(context);
  try {
    const isDirectory = statSync(path).isDirectory();
    return { path, isDirectory, isThere: true };
  } catch (cause) {
    return { path, isDirectory: false, isThere: false, cause };
  }
}

/** An absolute path; the folder we stand in may have been removed meanwhile. */
export function resolveHere(path: string): string {
  try {
    return resolve(path);
  } catch (cause) {
    throw notFound(path, "the working directory is gone", {
      hint: "somebody removed the folder you are in: change to one that exists",
      cause,
    });
  }
}

function notFound(
  context: string,
  reason: string,
  rest: { readonly hint: string; readonly cause?: unknown },
): Error {
  const shown = hideCredentials(context);
  return apiError("CONTEXT_NOT_FOUND", `open build context ${shown}: ${reason}`, {
    details: { context: shown },
    ...rest,
  });
}
