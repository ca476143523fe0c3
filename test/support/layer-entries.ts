import { Readable } from "node:stream";
import type { LayerEntryWithContent } from "../../src/layer/index.ts";

type Rest = Partial<Omit<LayerEntryWithContent, "path" | "type" | "size">>;

/** Owner 0:0, mode 0644 or 0755, times zero: what a test does not care about. */
function entry(
  path: string | Buffer,
  type: LayerEntryWithContent["type"],
  rest: Rest & { readonly size?: number },
): LayerEntryWithContent {
  return {
    path: Buffer.from(path),
    type,
    mode: type === "directory" ? 0o755 : type === "symlink" ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    mtime: 0n,
    size: 0,
    ...rest,
  };
}

export function fileEntry(
  path: string | Buffer,
  content: string | Buffer = "",
  rest: Rest = {},
): LayerEntryWithContent {
  const bytes = Buffer.from(content);
  return entry(path, "file", {
    size: bytes.length,
    read: () => bytes,
    open: () => Readable.from([bytes], { objectMode: false }),
    ...rest,
  });
}

export function directoryEntry(path: string | Buffer, rest: Rest = {}): LayerEntryWithContent {
  return entry(path, "directory", rest);
}

export function symlinkEntry(path: string | Buffer, target: string, rest: Rest = {}) {
  return entry(path, "symlink", { linkTarget: Buffer.from(target), ...rest });
}

export function hardlinkEntry(path: string | Buffer, target: string, rest: Rest = {}) {
  return entry(path, "hardlink", { linkTarget: Buffer.from(target), ...rest });
}

export function deviceEntry(
  path: string,
  numbers: { readonly devMajor: number; readonly devMinor: number },
  type: "char-device" | "block-device" = "char-device",
): LayerEntryWithContent {
  return entry(path, type, numbers);
}

export function fifoEntry(path: string, rest: Rest = {}): LayerEntryWithContent {
  return entry(path, "fifo", rest);
}
