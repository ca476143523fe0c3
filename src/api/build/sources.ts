import { basename, join } from "node:path";
import {
  errnoOf,
  isTsbuildError,
  readSmallFile,
  readSmallInput,
  TsbuildError,
  whyUnreadable,
} from "../../core/index.ts";
import type { SecretWatch } from "../../build/index.ts";
import type { MergedTree } from "../../layer/index.ts";
import { apiError } from "../errors.ts";
import { isHttpUrl, resolveHere, type ContextPlace } from "./context-place.ts";

/** What a build is made from. */
export interface BuildSources {
  readonly dockerfile: DockerfileSource;
  readonly context: MainContext;
}

export type MainContext =
  /** Files are looked at where they lie, through its ignore file. */
  | { readonly type: "directory"; readonly directory: string }
  /** Fetched or unpacked, and not filtered. */
  | {
      readonly type: "tree";
      readonly tree: MergedTree;
      /** How messages name it. */
      readonly label: string;
      /** Its own time in seconds, where it has one. */
      readonly time: () => Promise<number | undefined>;
    };

export interface DockerfileSource {
  /** Where it lies on this host; an ignore file of its own lies beside it. Absent when it came from elsewhere. */
  readonly path?: string;
  /** As messages name it. */
  readonly shown: string;
  readonly bytes: Buffer;
}

/**
 * What needs neither network nor standard input: a directory with a Dockerfile of this host. undefined for anything else,
 * which `openRemoteSources` opens.
 * @throws DOCKERFILE_NOT_FOUND
 */
export async function openLocalSources(
  place: ContextPlace,
  file: string | undefined,
): Promise<BuildSources | undefined> {
  if (place.type !== "directory" || file === "-") return undefined;
  if (file !== undefined && isHttpUrl(file)) return undefined;
  const { directory } = place;
  const dockerfile = await readLocalDockerfile(directory, file);
  return { dockerfile, context: { type: "directory", directory } };
}

/** `file` is relative to where we stand; without it, `Dockerfile` in the context. @throws DOCKERFILE_NOT_FOUND */
export async function readLocalDockerfile(
  directory: string,
  file: string | undefined,
): Promise<DockerfileSource> {
  const wanted = file === undefined ? join(directory, "Dockerfile") : resolveHere(file);
  const candidates =
    basename(wanted) === "Dockerfile" ? [wanted, join(wanted, "../dockerfile")] : [wanted];
  for (const path of candidates) {
    try {
      return { path, shown: file ?? basename(path), bytes: await readText(path, file) };
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw unreadable(wanted, error);
    }
  }
  throw unreadable(wanted, undefined);
}

/** A pipe that the user names (`-f <(generate)`) is read; one that lies in the context is none of the user's. */
async function readText(path: string, named: string | undefined): Promise<Buffer> {
  const limit = maxLocalDockerfile;
  return named === undefined ? readSmallFile(path, { limit }) : readSmallInput(path, { limit });
}

/** Bytes; the reference cannot take more in one message either. */
const maxLocalDockerfile = 16 * 1024 * 1024;

/** Without a cause the file is simply not there. */
function unreadable(path: string, cause: unknown): Error {
  const errno = errnoOf(cause);
  const reason = cause === undefined ? "there is no such file" : whyUnreadable(cause);
  return apiError("DOCKERFILE_NOT_FOUND", `read the Dockerfile ${path}: ${reason}`, {
    hint:
      errno === "EACCES"
        ? "make the file and its folder readable"
        : "name it with -f when it lies elsewhere or has another name",
    details: { path, ...(errno === undefined ? {} : { errno }) },
    cause,
  });
}

/**
 * Errors located in the Dockerfile carry its text, so that whoever prints them can show the line; without the secrets of
 * the build.
 */
export function withSource(
  error: unknown,
  dockerfile: { readonly shown: string; readonly bytes: Buffer },
  watch?: Pick<SecretWatch, "blotOut">,
): unknown {
  if (!isTsbuildError(error) || error.location?.file !== dockerfile.shown) return error;
  const clean = (text: Buffer): string => (watch?.blotOut(text) ?? text).toString("utf8");
  return new TsbuildError({
    code: error.code,
    message: clean(Buffer.from(error.message)),
    hint: error.hint && clean(Buffer.from(error.hint)),
    location: error.location,
    details: { ...error.details, source: clean(dockerfile.bytes) },
    cause: error.cause,
  });
}
