import { resolve } from "node:path";
import { stat } from "node:fs/promises";
import {
  formatReference,
  isDigest,
  parseGitReference,
  parseReference,
  withDefaultTag,
} from "../../core/index.ts";
import { contextName, type NamedContext, type OciLayout } from "../../plan/index.ts";
import { apiError, usageError } from "../errors.ts";
import { isHttpUrl } from "./context-place.ts";

/** `--build-context` as planning wants it, and the directories behind those contexts that are some. */
export interface NamedContexts {
  readonly contexts: ReadonlyMap<string, NamedContext>;
  /** Absolute paths by context name. */
  readonly directories: ReadonlyMap<string, string>;
}

/**
 * Reads `NAME=VALUE`: a directory, `docker-image://NAME`, `oci-layout://DIR[:TAG|@DIGEST]`, a git repository, or another
 * http or https URL, which is one file. A name that is given twice means the last one.
 * @throws USAGE, CONTEXT_NOT_FOUND, REFERENCE_INVALID, GIT_REFERENCE_INVALID
 */
export async function readNamedContexts(texts: readonly string[]): Promise<NamedContexts> {
  const contexts = new Map<string, NamedContext>();
  const directories = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 1 || equals === text.length - 1) throw invalid(text);
    const name = contextName(text.slice(0, equals));
    const value = text.slice(equals + 1);
    const context = readValue(value);
    contexts.set(name, context);
    if (context.type === "directory") directories.set(name, await findDirectory(name, value));
  }
  return { contexts, directories };
}

function readValue(value: string): NamedContext {
  const image = afterPrefix(value, "docker-image://");
  if (image === "scratch") return { type: "scratch" };
  if (image !== undefined)
    return { type: "image", reference: formatReference(withDefaultTag(parseReference(image))) };
  const layout = afterPrefix(value, "oci-layout://");
  if (layout !== undefined) return readLayout(layout);
  const git = parseGitReference(value);
  if (git !== undefined) return { type: "git", ...git };
  if (isHttpUrl(value)) return { type: "http", url: value, fileName: "context" };
  return { type: "directory" };
}

function afterPrefix(text: string, prefix: string): string | undefined {
  return text.startsWith(prefix) ? text.slice(prefix.length) : undefined;
}

/** `DIR`, `DIR:TAG`, `DIR@DIGEST`. */
function readLayout(text: string): OciLayout {
  const [place = "", digest] = text.split("@");
  const isNamed = place !== "" && !place.startsWith(":");
  if (!isNamed || (digest !== undefined && !isDigest(digest)))
    throw invalid(`oci-layout://${text}`);
  const colon = place.indexOf(":", place.lastIndexOf("/") + 1);
  const path = resolve(colon < 0 ? place : place.slice(0, colon));
  return {
    type: "oci-layout",
    path,
    ...(colon < 0 ? {} : { tag: place.slice(colon + 1) }),
    ...(digest === undefined ? {} : { digest: digest }),
  };
}

async function findDirectory(name: string, value: string): Promise<string> {
  const path = resolve(value);
  const found = await stat(path).catch((cause: unknown) => {
    throw missing(name, value, cause);
  });
  if (found.isDirectory()) return path;
  throw missing(name, value, undefined);
}

function missing(name: string, value: string, cause: unknown): Error {
  const reason = cause === undefined ? "not a directory" : "it cannot be read";
  return apiError("CONTEXT_NOT_FOUND", `open build context ${name} (${value}): ${reason}`, {
    hint: "give a directory, docker-image://NAME, oci-layout://DIR, a git repository or a URL",
    details: { name, context: value },
    cause,
  });
}

function invalid(text: string): Error {
  return usageError(
    `invalid context value: ${text}, expected key=value`,
    "write it as NAME=DIR, NAME=docker-image://IMAGE, NAME=oci-layout://DIR:TAG, or NAME=URL",
  );
}
