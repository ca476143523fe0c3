import { createReadStream, readlinkSync } from "node:fs";
import { type FileStat, fileTypeOf, splitDevice } from "../core/index.ts";
import {
  isWhiteoutName,
  type LayerEntryWithContent,
  type RootPath,
  showName,
} from "../layer/index.ts";
import { readWhole } from "./disk.ts";
import { snapshotError } from "./errors.ts";
import type { LayerView } from "./layer-disk.ts";

/** Up to here a file is handed over in one piece. */
const smallFile = 1024 * 1024;

/**
 * A node on disk, as an entry of a layer; undefined for sockets, which no layer holds.
 * @throws SNAPSHOT_NAME_RESERVED
 */
export function entryOf(
  disk: LayerView,
  node: { readonly path: RootPath; readonly absolute: Buffer; readonly stat: FileStat },
): LayerEntryWithContent | undefined {
  const { path, absolute, stat } = node;
  const type = fileTypeOf(stat.mode);
  if (type === "socket") return undefined;
  expectTellableName(path);
  const { uid, gid, mtimeNs: mtime } = stat;
  // Linux shows 0777 for every symlink; other filesystems may not.
  const mode = type === "symlink" ? 0o777 : stat.mode & 0o7777;
  const size = type === "file" ? Number(stat.size) : 0;
  const content = type === "file" ? contentOf(absolute, size) : noContent;
  const device = type.endsWith("device") ? splitDevice(stat.rdev) : noDevice;
  // All fields in one place, also those that are empty: V8 makes code for entries of one shape. Put together of parts, each
  // entry is one more shape to it, and whoever looks at the entry looks for its fields by their names.
  return {
    path,
    type,
    mode,
    uid,
    gid,
    mtime,
    size,
    xattrs: disk.xattrs(absolute),
    linkTarget: type === "symlink" ? readlinkSync(absolute, "buffer") : undefined,
    devMajor: device.major,
    devMinor: device.minor,
    open: content.open,
    read: content.read,
    place: content.place,
  };
}

const noDevice = { major: undefined, minor: undefined };

type Content = Required<Pick<LayerEntryWithContent, "open" | "read" | "place">>;

const noContent: Content = { open: undefined, read: undefined, place: undefined };

function contentOf(absolute: Buffer, size: number): Content {
  const open = () => createReadStream(absolute, { highWaterMark: 1024 * 1024 });
  const read = (target: Buffer = Buffer.allocUnsafe(size)): Buffer => readWhole(absolute, target);
  return { open, read: size <= smallFile ? read : undefined, place: absolute };
}

/** A further name of a node whose entry came before. @throws SNAPSHOT_NAME_RESERVED */
export function hardlinkEntry(
  entry: LayerEntryWithContent,
  link: { readonly path: RootPath; readonly target: RootPath },
): LayerEntryWithContent {
  const { mode, uid, gid, mtime } = entry;
  const { path, target } = link;
  expectTellableName(path);
  return { path, type: "hardlink", mode, uid, gid, mtime, size: 0, linkTarget: target };
}

/** A name in a layer that only says that something is gone: an empty file that depends on nothing. */
export function markEntry(path: RootPath): LayerEntryWithContent {
  return { path, type: "file", mode: 0, uid: 0, gid: 0, mtime: 0n, size: 0 };
}

/** Whoever unpacks the layer would remove a file instead of making one. @throws SNAPSHOT_NAME_RESERVED */
export function expectTellableName(path: RootPath): void {
  if (!isWhiteoutName(path)) return;
  const name = showName(path);
  throw snapshotError(
    "SNAPSHOT_NAME_RESERVED",
    `make a layer with /${name}: in image layers such a name means that something was removed`,
    {
      hint: "give the file another name, or remove it in the step that makes it",
      details: { path: name },
    },
  );
}
