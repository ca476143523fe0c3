import { layerError } from "./errors.ts";
import { baseName, joinRootPath, parentRootPath, rootPath, rootPathToString } from "./paths.ts";
import type { RootPath } from "./types.ts";

/** How removals are spelled in a layer tar. @see OCI image spec, layer.md, "Whiteouts" */
const whiteoutPrefix = Buffer.from(".wh.");
const opaqueName = Buffer.from(".wh..wh..opq");
/** AUFS' own bookkeeping, which old layers carry; it is about the filesystem that made them and means nothing here. */
const aufsPrefix = Buffer.from(".wh..wh.");

/** What a tar name says: an entry of its own, the removal of `path`, or that directory `path` hides what is below. */
export type TarName =
  | { readonly type: "entry"; readonly path: RootPath }
  | { readonly type: "whiteout"; readonly path: RootPath }
  | { readonly type: "opaque"; readonly path: RootPath }
  | { readonly type: "ignored"; readonly path: RootPath };

/** @throws LAYER_PATH_INVALID for a whiteout that names nothing, `.` or `..` */
export function parseTarName(path: RootPath): TarName {
  const name = baseName(path);
  if (!startsWith(name, whiteoutPrefix)) {
    // Inside a directory named like AUFS' metadata everything is metadata.
    const aufs = path.includes(aufsPrefix) && isBelowAufs(path);
    return { type: aufs ? "ignored" : "entry", path };
  }
  const parent = parentRootPath(path) ?? rootPath;
  if (name.equals(opaqueName)) return { type: "opaque", path: parent };
  if (startsWith(name, aufsPrefix)) return { type: "ignored", path };
  const removed = name.subarray(whiteoutPrefix.length);
  if (removed.length === 0 || removed.equals(dot) || removed.equals(dotDot))
    throw invalidWhiteout(path);
  return { type: "whiteout", path: joinRootPath(parent, removed) };
}

const dot = Buffer.from(".");
const dotDot = Buffer.from("..");

/** Tar name of the removal of `path`. */
export function whiteoutName(path: RootPath): RootPath {
  const parent = parentRootPath(path) ?? rootPath;
  return joinRootPath(parent, Buffer.concat([whiteoutPrefix, baseName(path)]));
}

/** Tar name of the mark that directory `path` hides everything below it in lower layers. */
export function opaqueWhiteoutName(path: RootPath): RootPath {
  return joinRootPath(path, opaqueName);
}

function startsWith(name: Buffer, prefix: Buffer): boolean {
  return name.length >= prefix.length && name.subarray(0, prefix.length).equals(prefix);
}

function isBelowAufs(path: RootPath): boolean {
  let start = 0;
  for (let end = path.indexOf(0x2f); end !== -1; end = path.indexOf(0x2f, start)) {
    if (startsWith(path.subarray(start, end), aufsPrefix)) return true;
    start = end + 1;
  }
  return false;
}

function invalidWhiteout(path: RootPath): Error {
  const entry = rootPathToString(path);
  return layerError("LAYER_PATH_INVALID", `read layer entry ${entry}: a whiteout of nothing`, {
    details: { entry },
  });
}
