import {
  joinRootPath,
  type MergedTree,
  type NodeStat,
  rootPath,
  type RootPath,
} from "../layer/index.ts";
import type { TreeWriter } from "./types.ts";

/** Writes a node as it is in `tree` to the same path; of a directory only the directory itself. Sockets are left out. */
export async function copyNode(
  node: { readonly tree: MergedTree; readonly path: RootPath; readonly stat: NodeStat },
  writer: TreeWriter,
): Promise<void> {
  const { tree, path, stat } = node;
  const attributes = { ...stat, xattrs: await tree.xattrs(path) };
  switch (stat.type) {
    case "directory":
      return writer.directory(path, attributes);
    case "symlink":
      return writer.symlink(path, attributes, await tree.readlink(path));
    case "char-device":
    case "block-device":
      return writer.device(path, attributes, {
        type: stat.type,
        major: stat.devMajor,
        minor: stat.devMinor,
      });
    case "fifo":
      return writer.fifo(path, attributes);
    case "socket":
      return;
    case "file": {
      const opened = await tree.openFile(path);
      try {
        return await writer.file(path, attributes, opened);
      } finally {
        await opened.close();
      }
    }
  }
}

/** Writes everything that `tree` holds; hard links among its files stay hard links. */
export async function copyTree(tree: MergedTree, writer: TreeWriter): Promise<void> {
  const links = new Map<string, RootPath>();
  const pending: RootPath[] = [rootPath];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = await tree.lstat(path);
    if (stat === undefined) continue;
    const first = stat.nlink > 1 && stat.type !== "directory" ? links.get(stat.inode) : undefined;
    if (first !== undefined) {
      await writer.hardlink(path, first);
      continue;
    }
    await copyNode({ tree, path, stat }, writer);
    if (stat.nlink > 1) links.set(stat.inode, path);
    if (stat.type !== "directory") continue;
    const names = await tree.readdir(path);
    for (const name of names) pending.push(joinRootPath(path, name));
  }
}
