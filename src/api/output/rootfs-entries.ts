import { Readable } from "node:stream";
import {
  joinRootPath,
  openContent,
  rootPath,
  type LayerEntryWithContent,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../../layer/index.ts";

/** One node of a root filesystem; of a file with several names, the further ones say which was first. */
export interface RootfsNode {
  readonly path: RootPath;
  readonly stat: NodeStat;
  readonly firstName?: RootPath;
}

/** Every node below the root, parents first and names in byte order. Sockets are left out. */
export async function* walkRootfs(tree: MergedTree): AsyncGenerator<RootfsNode, void, undefined> {
  const firstNames = new Map<string, RootPath>();
  const pending: RootPath[] = [rootPath];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const below: RootPath[] = [];
    for (const name of await tree.readdir(folder)) {
      const path = joinRootPath(folder, name);
      const stat = await tree.lstat(path);
      if (stat === undefined || stat.type === "socket") continue;
      if (stat.type === "directory") below.push(path);
      const hasNames = stat.type !== "directory" && stat.nlink > 1;
      const firstName = hasNames ? firstNames.get(stat.inode) : undefined;
      if (hasNames && firstName === undefined) firstNames.set(stat.inode, path);
      yield { path, stat, ...(firstName === undefined ? {} : { firstName }) };
    }
    pending.push(...below.reverse());
  }
}

/**
 * A root filesystem as the entries of a tar, below the folder `prefix` where one is given. Times become `mtime` when
 * that is set.
 */
export async function* rootfsEntries(
  tree: MergedTree,
  options: { readonly prefix?: string | undefined; readonly mtime?: bigint | undefined } = {},
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const prefix = Buffer.from(options.prefix ?? "");
  const place = (path: RootPath): RootPath =>
    prefix.length === 0 ? path : joinRootPath(prefix, path);
  if (prefix.length > 0) {
    const { mtime = 0n } = options;
    yield { path: prefix, type: "directory", mode: 0o755, uid: 0, gid: 0, mtime, size: 0 };
  }
  for await (const node of walkRootfs(tree)) {
    const { path, stat, firstName } = node;
    const { mode, uid, gid } = stat;
    const looks = { path: place(path), mtime: options.mtime ?? stat.mtime };
    if (firstName !== undefined) {
      const linkTarget = place(firstName);
      yield { ...looks, mode, uid, gid, type: "hardlink", size: 0, linkTarget };
      continue;
    }
    yield { ...(await nodeEntry(tree, path, stat)), ...looks };
  }
}

/** A node of a tree as the entry of a tar. */
export async function nodeEntry(
  tree: MergedTree,
  path: RootPath,
  stat: NodeStat,
): Promise<LayerEntryWithContent> {
  const { mode, uid, gid, mtime, devMajor, devMinor } = stat;
  const type = stat.type === "socket" ? "fifo" : stat.type;
  const xattrs = await tree.xattrs(path);
  return {
    ...{ path, mode, uid, gid, mtime, type },
    size: type === "file" ? stat.size : 0,
    ...(type === "symlink" ? { linkTarget: await tree.readlink(path) } : {}),
    ...(type === "char-device" || type === "block-device" ? { devMajor, devMinor } : {}),
    ...(xattrs.size === 0 ? {} : { xattrs }),
    ...(type === "file" ? { open: () => Readable.from(contentOf(tree, path)) } : {}),
  };
}

async function* contentOf(
  tree: MergedTree,
  path: RootPath,
): AsyncGenerator<Buffer, void, undefined> {
  const content = openContent(await tree.openFile(path), { chunkSize: 1024 * 1024 });
  try {
    for await (const chunk of content.stream) yield chunk as Buffer;
  } finally {
    await content.close();
  }
}
