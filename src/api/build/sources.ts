import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { errnoOf, isTsbuildError, TsbuildError } from "../../core/index.ts";
import { apiError, usageError } from "../errors.ts";

export async function checkContext(context: string): Promise<string> {
  const directory = resolveHere(context);
  try {
    if ((await stat(directory)).isDirectory()) return directory;
  } catch (error) {
    throw apiError("CONTEXT_NOT_FOUND", `open build context ${context}: it cannot be read`, {
      hint: "the last argument is the directory that COPY reads from, for example `.`",
      details: { context },
      cause: error,
    });
  }
  throw apiError("CONTEXT_NOT_FOUND", `open build context ${context}: not a directory`, {
    hint: "give a directory; the Dockerfile is named with -f",
    details: { context },
  });
}

/** An absolute path; the folder we stand in may have been removed meanwhile. */
function resolveHere(path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    throw apiError(
      "CONTEXT_NOT_FOUND",
      `open build context ${path}: the working directory is gone`,
      {
        hint: "somebody removed the folder you are in: change to one that exists",
        details: { context: path },
        cause: error,
      },
    );
  }
}

export interface DockerfileSource {
  readonly path: string;
  /** As messages name it. */
  readonly shown: string;
  readonly bytes: Buffer;
}

export async function readDockerfile(
  directory: string,
  file: string | undefined,
): Promise<DockerfileSource> {
  if (file === "-") {
    throw usageError(
      "read the Dockerfile from standard input: not supported yet",
      "write it to a file and name that with -f",
    );
  }
  const wanted = file === undefined ? join(directory, "Dockerfile") : resolveHere(file);
  const candidates =
    basename(wanted) === "Dockerfile" ? [wanted, join(wanted, "../dockerfile")] : [wanted];
  for (const path of candidates) {
    try {
      return { path, shown: file ?? basename(path), bytes: await readFile(path) };
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw unreadable(wanted, error);
    }
  }
  throw unreadable(wanted, undefined);
}

/** Without a cause the file is simply not there. */
function unreadable(path: string, cause: unknown): Error {
  const errno = errnoOf(cause);
  const reason = unreadableReasons[errno ?? "ENOENT"] ?? "it cannot be read";
  return apiError("DOCKERFILE_NOT_FOUND", `read the Dockerfile ${path}: ${reason}`, {
    hint:
      errno === "EACCES"
        ? "make the file and its folder readable"
        : "name it with -f when it lies elsewhere or has another name",
    details: { path, ...(errno === undefined ? {} : { errno }) },
    cause,
  });
}

const unreadableReasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

/** Errors located in the Dockerfile carry its text, so that whoever prints them can show the line. */
export function withSource(
  error: unknown,
  dockerfile: { readonly shown: string; readonly bytes: Buffer },
): unknown {
  if (!isTsbuildError(error) || error.location?.file !== dockerfile.shown) return error;
  return new TsbuildError({
    code: error.code,
    message: error.message,
    hint: error.hint,
    location: error.location,
    details: { ...error.details, source: dockerfile.bytes.toString("utf8") },
    cause: error.cause,
  });
}
