import { createReadStream } from "node:fs";
import {
  baseName,
  isWhiteoutName,
  type LayerEntryWithContent,
  type NodeStat,
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
  node: {
    readonly path: RootPath;
    readonly absolute: Buffer;
    readonly stat: NodeStat;
    readonly linkTarget?: Buffer;
  },
): LayerEntryWithContent | undefined {
  const { path, absolute, stat, linkTarget } = node;
  if (stat.type === "socket") return undefined;
  expectTellableName(path);
  const { type, mode, uid, gid, mtime, size, devMajor, devMinor } = stat;
  const xattrs = disk.xattrs(absolute);
  const isDevice = type === "char-device" || type === "block-device";
  return {
    path,
    type,
    // Linux shows 0777 for every symlink; other filesystems may not.
    mode: type === "symlink" ? 0o777 : mode,
    uid,
    gid,
    mtime,
    size,
    ...(linkTarget === undefined ? {} : { linkTarget }),
    ...(isDevice ? { devMajor, devMinor } : {}),
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(type === "file" ? contentOf(absolute, size) : {}),
  };
}

function contentOf(
  absolute: Buffer,
  size: number,
): Pick<LayerEntryWithContent, "open" | "read" | "place"> {
  const open = () => createReadStream(absolute, { highWaterMark: 1024 * 1024 });
  const read = (target: Buffer = Buffer.allocUnsafe(size)): Buffer => readWhole(absolute, target);
  return size <= smallFile ? { open, read, place: absolute } : { open };
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
  if (!isWhiteoutName(baseName(path))) return;
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
