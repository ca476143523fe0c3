import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { digestOf, type RootfsMount } from "../../src/core/index.ts";
import {
  joinRootPath,
  type LayerEntryWithContent,
  type MergedTree,
  readLayerTar,
  rootPath,
  rootPathToString,
} from "../../src/layer/index.ts";

/** A tree as plain data: one line a node, by path; hard links name the first path of their file. */
export type TreeDump = Record<string, string>;

export async function dumpTree(tree: MergedTree): Promise<TreeDump> {
  const dump: TreeDump = {};
  const links = new Map<string, string>();
  const visit = async (path: Buffer): Promise<void> => {
    const stat = await tree.lstat(path);
    if (stat === undefined) throw new Error(`${rootPathToString(path)} is listed but not there`);
    const name = rootPathToString(path);
    let content = "";
    if (stat.type === "file") {
      const opened = await tree.openFile(path);
      const { createReadStream } = await import("node:fs");
      const stream = createReadStream("", { fd: opened.fd, autoClose: false, start: 0 });
      content = digestOf(await buffer(stream)).slice(7, 19);
      await opened.close();
    }
    if (stat.type === "symlink") content = rootPathToString(await tree.readlink(path));
    const first = stat.type === "directory" ? undefined : links.get(stat.inode);
    if (first === undefined) links.set(stat.inode, name);
    dump[name] =
      first === undefined
        ? line({ ...stat, content, xattrs: await tree.xattrs(path) })
        : `hardlink ${first}`;
    if (stat.type !== "directory") return;
    for (const child of await tree.readdir(path)) await visit(joinRootPath(path, child));
  };
  await visit(rootPath);
  return dump;
}

/**
 * The same of what the kernel shows, read by GNU tar. Layers are mounted in a mount namespace of their own; a directory
 * is looked at where it lies, which takes no privilege.
 */
export async function dumpMount(mount: RootfsMount): Promise<TreeDump> {
  const pack = `tar -C "$target" --sort=name --format=posix --xattrs --xattrs-include='*' --numeric-owner -c .`;
  const command =
    mount.type === "directory"
      ? ["sh", "-ec", `target='${mount.path}'; ${pack}`]
      : [
          ...["unshare", "-m", "sh", "-ec"],
          `target=$(mktemp -d); ${mountCommand(mount)}; ${pack}; umount "$target"; rmdir "$target"`,
        ];
  const archive = execFileSync("env", command, { maxBuffer: 1 << 28 });
  const dump: TreeDump = {};
  for await (const entry of readLayerTar(Readable.from([archive])))
    dump[rootPathToString(entry.path)] = await entryLine(entry);
  return dump;
}

/** A dump as `dumpMount` has it: GNU tar knows of several names only for files and links, not for devices. */
export function withLinksOfGnuTar(dump: TreeDump): TreeDump {
  const lines = Object.entries(dump).map(([path, line]): [string, string] => {
    const first = line.startsWith("hardlink ") ? dump[line.slice("hardlink ".length)] : undefined;
    return [path, first !== undefined && /^(?:\w+-device|fifo) /.test(first) ? first : line];
  });
  return Object.fromEntries(lines);
}

/** Shell command that mounts a root on "$target". */
export function mountCommand(mount: RootfsMount): string {
  return mount.type === "directory"
    ? `mount --bind '${mount.path}' "$target"`
    : `mount -t overlay overlay -o '${overlayOptions(mount)}' "$target"`;
}

function overlayOptions(mount: Extract<RootfsMount, { type: "overlay" }>): string {
  const upper =
    mount.upper === undefined ? "" : `,upperdir=${mount.upper},workdir=${mount.work ?? ""}`;
  return `redirect_dir=nofollow,metacopy=off,index=off,lowerdir=${mount.lower.join(":")}${upper}`;
}

async function entryLine(entry: LayerEntryWithContent): Promise<string> {
  if (entry.type === "hardlink")
    return `hardlink ${rootPathToString(entry.linkTarget ?? Buffer.alloc(0))}`;
  const content =
    entry.type === "file"
      ? digestOf(entry.read?.() ?? (await buffer(entry.open?.() ?? Readable.from([])))).slice(7, 19)
      : rootPathToString(entry.linkTarget ?? Buffer.alloc(0));
  return line({ ...entry, content, xattrs: entry.xattrs ?? new Map() });
}

function line(node: {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly devMajor?: number | undefined;
  readonly devMinor?: number | undefined;
  readonly content: string;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}): string {
  const isDevice = node.type.endsWith("-device");
  const device = isDevice ? ` ${String(node.devMajor ?? 0)}:${String(node.devMinor ?? 0)}` : "";
  const xattrs = [...node.xattrs]
    .filter(([name]) => !name.startsWith("trusted.overlay."))
    .map(([name, value]) => ` ${name}=${value.toString("hex")}`)
    .sort();
  const looks = `${node.type} ${node.mode.toString(8)} ${String(node.uid)}:${String(node.gid)}`;
  return `${looks} ${String(node.mtime)}${device} ${node.content}${xattrs.join("")}`;
}
