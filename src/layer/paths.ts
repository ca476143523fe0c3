import { decodeUtf8 } from "../core/index.ts";
import { layerError } from "./errors.ts";
import type { MergedTree, NodeStat, RootPath } from "./types.ts";

type NodeType = NodeStat["type"];

const slash = 0x2f;
const maxLinks = 255;

/** The root itself. */
export const rootPath: RootPath = Buffer.alloc(0);

/**
 * Cleans a name: leading and doubled slashes, `.` and `a/..` go. `beyondRoot: "stay"` lets `..` at the root stay there,
 * as the kernel does; by default it is refused.
 * @throws LAYER_PATH_ESCAPES, LAYER_PATH_INVALID for a NUL
 */
export function toRootPath(
  text: string | Buffer,
  options: { readonly beyondRoot?: "refuse" | "stay" } = {},
): RootPath {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  if (bytes.includes(0)) throw invalid(bytes);
  if (isClean(bytes)) return bytes;
  const kept: Buffer[] = [];
  for (const component of components(bytes)) {
    if (!isDotDot(component)) kept.push(component);
    else if (kept.pop() === undefined && options.beyondRoot !== "stay") throw escapes(bytes);
  }
  return joinComponents(kept);
}

/** As text for people, keys and JSON: UTF-8 as it is, other bytes as `\xNN`. No leading slash. */
export function rootPathToString(path: Buffer): string {
  return decodeUtf8(path, escapeByte);
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16)}`;
}

/** `path` below `base`; both are clean, so nothing is looked at. */
export function joinRootPath(base: RootPath, path: RootPath | string): RootPath {
  const tail = typeof path === "string" ? Buffer.from(path) : path;
  if (base.length === 0) return tail;
  if (tail.length === 0) return base;
  const joined = Buffer.allocUnsafe(base.length + 1 + tail.length);
  joined.set(base);
  joined[base.length] = slash;
  joined.set(tail, base.length + 1);
  return joined;
}

/** The directory that holds `path`; undefined for the root. */
export function parentRootPath(path: RootPath): RootPath | undefined {
  if (path.length === 0) return undefined;
  return path.subarray(0, Math.max(nameStart(path) - 1, 0));
}

/** The last component; empty for the root. */
export function baseName(path: RootPath): Buffer {
  return path.subarray(nameStart(path));
}

/** Where the last component begins. */
export function nameStart(path: RootPath): number {
  // A name is short: to ask Node for it takes longer.
  let start = path.length;
  while (start > 0 && path[start - 1] !== slash) start--;
  return start;
}

/** The components of a clean or unclean path, without empty ones and `.`; `..` stays. */
export function components(path: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let start = 0; start < path.length;) {
    const next = path.indexOf(slash, start);
    const end = next === -1 ? path.length : next;
    const component = path.subarray(start, end);
    if (component.length > 0 && !(component.length === 1 && component[0] === 0x2e))
      found.push(component);
    start = end + 1;
  }
  return found;
}

/**
 * The path behind all symlinks, as a process with `tree` as its root would find it: absolute targets begin at the root,
 * `..` is taken after links were followed and stays at the root. From the first component that is not there (or is no
 * directory) the rest is kept literally, so the result may name something that is yet to be made.
 *
 * `followLast`: whether a symlink in the last component is followed too. `cwd`: where relative paths begin; the root
 * unless given.
 * @throws LAYER_SYMLINK_LOOP after 255 links
 */
export async function resolvePath(
  tree: Pick<MergedTree, "lstat" | "readlink">,
  path: string | Buffer,
  options: { readonly followLast: boolean; readonly cwd?: RootPath },
): Promise<RootPath> {
  const bytes = typeof path === "string" ? Buffer.from(path) : path;
  const absolute = bytes[0] === slash;
  // Taken from the end: the next component is the last element.
  const pending = components(bytes).reverse();
  if (!absolute && options.cwd !== undefined) pending.push(...components(options.cwd).reverse());
  let resolved: RootPath = rootPath;
  let links = 0;
  let missing = false;
  for (let component = pending.pop(); component !== undefined; component = pending.pop()) {
    if (isDotDot(component)) {
      resolved = parentRootPath(resolved) ?? rootPath;
      missing = false;
      continue;
    }
    const next = joinRootPath(resolved, component);
    const type: NodeType | undefined = missing ? undefined : (await tree.lstat(next))?.type;
    const follow = type === "symlink" && (pending.length > 0 || options.followLast);
    if (!follow) {
      missing = type !== "directory";
      resolved = next;
      continue;
    }
    if (++links > maxLinks) throw loop(bytes);
    const target = await tree.readlink(next);
    if (target[0] === slash) resolved = rootPath;
    pending.push(...components(target).reverse());
  }
  return resolved;
}

/** Whether the name has no empty, `.` or `..` component and no slash at either end. Most names do: no copy then. */
function isClean(path: Buffer): boolean {
  if (path.length === 0) return true;
  let start = 0;
  for (let index = 0; index <= path.length; index++) {
    if (index < path.length && path[index] !== slash) continue;
    const length = index - start;
    if (length === 0) return false;
    if (path[start] === 0x2e && (length === 1 || (length === 2 && path[start + 1] === 0x2e)))
      return false;
    start = index + 1;
  }
  return true;
}

function isDotDot(component: Buffer): boolean {
  return component.length === 2 && component[0] === 0x2e && component[1] === 0x2e;
}

function joinComponents(parts: readonly Buffer[]): RootPath {
  return Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [separator, part])));
}

const separator = Buffer.from("/");

function invalid(path: Buffer): Error {
  return layerError("LAYER_PATH_INVALID", `read path ${JSON.stringify(rootPathToString(path))}`, {
    hint: "no file name holds a NUL byte",
    details: { path: rootPathToString(path) },
  });
}

function escapes(path: Buffer): Error {
  const text = rootPathToString(path);
  return layerError("LAYER_PATH_ESCAPES", `read path ${text}: it leads out of the root`, {
    details: { path: text },
  });
}

function loop(path: Buffer): Error {
  const text = rootPathToString(path);
  return layerError("LAYER_SYMLINK_LOOP", `follow ${text}: too many symlinks`, {
    hint: "symlinks of the image lead in a circle there; remove them first, or name another path",
    details: { path: text, errno: "ELOOP" },
  });
}
