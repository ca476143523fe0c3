import { open, stat } from "node:fs/promises";
import type { MergedTree, NodeStat, OpenedFile, RootPath } from "../layer/index.ts";

/** A file of the host under a name of its own. */
export interface SingleFile {
  readonly name: string;
  /** Absolute path on the host. */
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
}

/** A root that holds nothing but one file, owned by root. */
export function singleFileTree(file: SingleFile): MergedTree {
  const name = Buffer.from(file.name);
  const node = { uid: 0, gid: 0, devMajor: 0, devMinor: 0, nlink: 1, inode: "file" };
  const { mode, size, mtime } = file;
  const fileStat: NodeStat = { ...node, type: "file", mode, size, mtime };
  const rootStat: NodeStat = { ...node, type: "directory", mode: 0o755, size: 0, mtime: 0n };
  const statOf = (path: RootPath): NodeStat | undefined => {
    if (path.length === 0) return rootStat;
    return path.equals(name) ? fileStat : undefined;
  };
  return {
    lstat: (path) => Promise.resolve(statOf(path)),
    readdir: () => Promise.resolve([name]),
    readlink: () => Promise.reject(new Error("there is no symlink in a downloaded file")),
    xattrs: () => Promise.resolve(new Map()),
    openFile: async (): Promise<OpenedFile> => {
      const handle = await open(file.path, "r");
      return { fd: handle.fd, size: (await stat(file.path)).size, close: () => handle.close() };
    },
  };
}
