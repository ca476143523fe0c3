import { lstat, mkdir, open, readdir, readlink, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { MergedTree, NodeStat, RootPath } from "../../src/layer/index.ts";

/**
 * A MergedTree over one plain directory: a stand-in for a snapshot's tree where a test needs files to look up and no
 * layers. Keeps the contract's word about symlinks: one on the way makes the node "not there".
 */
export function createDirectoryTree(root: string): MergedTree {
  const place = (path: RootPath): string => join(root, path.toString());
  return {
    lstat: async (path) => ((await isReached(root, path)) ? statNode(place(path)) : undefined),
    readdir: async (path) =>
      (await readdir(place(path), { encoding: "buffer" })).sort(Buffer.compare),
    readlink: async (path) => readlink(place(path), { encoding: "buffer" }),
    openFile: async (path) => {
      const file = await open(place(path), "r");
      const { size } = await file.stat();
      return { fd: file.fd, size, close: async () => file.close() };
    },
    xattrs: () => Promise.resolve(new Map()),
  };
}

/** Writes `entries` (path to text, or to a symlink's target) below `root`; a path that ends in `/` is a directory. */
export async function writeTree(
  root: string,
  entries: Readonly<Record<string, string | { readonly symlink: string }>>,
): Promise<void> {
  for (const [path, entry] of Object.entries(entries)) {
    const target = join(root, path);
    await mkdir(path.endsWith("/") ? target : dirname(target), { recursive: true });
    if (path.endsWith("/")) continue;
    if (typeof entry === "string") await writeFile(target, entry);
    else await symlink(entry.symlink, target);
  }
}

async function isReached(root: string, path: RootPath): Promise<boolean> {
  const parts = path.toString().split("/").slice(0, -1);
  for (let length = 1; length <= parts.length; length += 1) {
    const parent = await statNode(join(root, ...parts.slice(0, length)));
    if (parent?.type !== "directory") return false;
  }
  return true;
}

async function statNode(path: string): Promise<NodeStat | undefined> {
  const stat = await lstat(path, { bigint: true }).catch(() => undefined);
  if (stat === undefined) return undefined;
  return {
    type: stat.isDirectory()
      ? "directory"
      : stat.isSymbolicLink()
        ? "symlink"
        : stat.isFIFO()
          ? "fifo"
          : "file",
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    mtime: stat.mtimeNs,
    devMajor: 0,
    devMinor: 0,
    nlink: Number(stat.nlink),
    inode: `${stat.dev}:${stat.ino}`,
  };
}
