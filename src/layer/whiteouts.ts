import { layerError } from "./errors.ts";
import { baseName, joinRootPath, nameStart, parentRootPath, rootPath } from "./paths.ts";
import { showName } from "./tell-entry.ts";
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

/** @throws LAYER_PATH_INVALID for a whiteout that names nothing, `.` or `..`, and for what lies in a whiteout */
export function parseTarName(path: RootPath): TarName {
  const name = baseName(path);
  if (!startsWith(name, whiteoutPrefix)) {
    const whiteout = path.includes(whiteoutPrefix) ? whiteoutOnTheWay(path) : undefined;
    if (whiteout === undefined) return { type: "entry", path };
    // Inside a directory named like AUFS' metadata everything is metadata.
    if (startsWith(whiteout, aufsPrefix)) return { type: "ignored", path };
    throw invalidWhiteout(path, "it lies in a whiteout");
  }
  const parent = parentRootPath(path) ?? rootPath;
  if (name.equals(opaqueName)) return { type: "opaque", path: parent };
  if (startsWith(name, aufsPrefix)) return { type: "ignored", path };
  const removed = name.subarray(whiteoutPrefix.length);
  if (removed.length === 0 || removed.equals(dot) || removed.equals(dotDot))
    throw invalidWhiteout(path, "a whiteout of nothing");
  return { type: "whiteout", path: joinRootPath(parent, removed) };
}

/** Whether layers read the last name of this path as the removal of something, so that no file can have it. */
export function isWhiteoutName(path: RootPath): boolean {
  return hasAt(path, nameStart(path), whiteoutPrefix);
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
  return hasAt(name, 0, prefix);
}

/** Asked of every node: a part of the path would take as long to make as all else. */
function hasAt(path: Buffer, start: number, bytes: Buffer): boolean {
  if (path.length - start < bytes.length) return false;
  for (let index = 0; index < bytes.length; index++)
    if (path[start + index] !== bytes[index]) return false;
  return true;
}

/** The first directory on the way to the entry that is named like a whiteout. */
function whiteoutOnTheWay(path: RootPath): Buffer | undefined {
  let start = 0;
  for (let end = path.indexOf(0x2f); end !== -1; end = path.indexOf(0x2f, start)) {
    const name = path.subarray(start, end);
    if (startsWith(name, whiteoutPrefix)) return name;
    start = end + 1;
  }
  return undefined;
}

function invalidWhiteout(path: RootPath, why: string): Error {
  const entry = showName(path);
  return layerError("LAYER_PATH_INVALID", `read layer entry ${entry}: ${why}`, {
    hint: "the archive is hostile or broken; do not use it",
    details: { entry },
  });
}
