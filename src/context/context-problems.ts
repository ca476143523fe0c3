import { syscallErrno } from "../core/index.ts";
import { type ByteString, bytesOf } from "./byte-strings.ts";
import { contextError } from "./errors.ts";

/** A path of the context for people. */
export function shown(path: ByteString): string {
  return path === "" ? "." : bytesOf(path).toString();
}

/** Does `work` about `path`; what the system says against it is told as CONTEXT_UNREADABLE. */
export function attempt<Result>(path: ByteString, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw unreadable(shown(path), error);
  }
}

/** CONTEXT_UNREADABLE about `path`. */
export function unreadable(path: string, cause: unknown, errno = syscallErrno(cause)): Error {
  const why = errno === undefined ? "not a directory" : errno;
  return contextError("CONTEXT_UNREADABLE", `read ${path} in the build context: ${why}`, {
    hint: hints[errno ?? ""] ?? "the build context is the directory that COPY reads from",
    details: { path, errno },
    cause,
  });
}

const hints: Readonly<Record<string, string>> = {
  EACCES: "make it readable, or exclude it in .dockerignore",
  ENAMETOOLONG: "move the context to where its path is shorter, or exclude it in .dockerignore",
};

export function changed(path: ByteString): Error {
  return fileChanged(shown(path));
}

/** CONTEXT_FILE_CHANGED about `path`. */
export function fileChanged(path: string): Error {
  return contextError("CONTEXT_FILE_CHANGED", `read ${path}: it changed during the build`, {
    hint: "build again when nothing writes to it, or exclude it in .dockerignore",
    details: { path },
  });
}
