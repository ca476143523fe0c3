import { open } from "node:fs/promises";
import {
  baseName,
  components,
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPath,
  rootPathToString,
  showName,
  type MergedTree,
  type NodeStat,
  type OpenedFile,
  type RootPath,
} from "../layer/index.ts";
import { byteString, bytesOf, type ByteString } from "./byte-strings.ts";
import { contextError } from "./errors.ts";

/** No disk takes longer ones; and each lookup of a path costs time for its length. */
const maxPathLength = 4095;

/** Looks of a node in a tree that was put together; owners root and time 0 unless given. */
export interface NodeLooks {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Nanoseconds since the epoch. */
  readonly mtime?: bigint;
  readonly xattrs?: ReadonlyMap<string, Buffer>;
}

/** What a node is, beside its looks. */
export type NodeContent =
  | { readonly type: "directory" }
  /** `path`: the file on this host that holds the bytes. */
  | { readonly type: "file"; readonly path: string; readonly size: number }
  | { readonly type: "symlink"; readonly target: Buffer }
  | {
      readonly type: "char-device" | "block-device";
      readonly major: number;
      readonly minor: number;
    }
  | { readonly type: "fifo" };

interface TreeNode {
  readonly number: number;
  looks: NodeLooks;
  readonly content: NodeContent;
  /** Of a directory. */
  readonly children: Map<ByteString, TreeNode>;
  links: number;
}

/**
 * A tree that is known in whole: names, owners and links are in memory, contents lie in files whose names have nothing
 * to do with the tree. So whatever a stranger's archive or repository calls its entries, nothing on this host is made,
 * followed or owned in its name, and no privilege is needed to have any owner, device or name in it.
 */
export class FileTree implements MergedTree {
  /** How messages name it. */
  readonly label: string;
  readonly #root: TreeNode;
  #count = 0;

  constructor(label: string) {
    this.label = label;
    this.#root = this.#newNode({ type: "directory" }, { mode: 0o755 });
  }

  /**
   * Puts a node at a path, behind the symlinks that are on its way inside the tree. Missing directories are made; what
   * is there already is replaced, but of a directory only the looks.
   * @throws CONTEXT_ARCHIVE_INVALID when something else stands where a directory must be
   */
  async add(path: RootPath, content: NodeContent, looks: NodeLooks): Promise<void> {
    if (path.length === 0) {
      if (content.type !== "directory") throw misplaced(path);
      this.#root.looks = looks;
      return;
    }
    const { children } = await this.#makeDirectory(parentRootPath(path) ?? rootPath);
    const name = byteString(baseName(path));
    const existing = children.get(name);
    if (existing?.content.type === "directory" && content.type === "directory") {
      existing.looks = looks;
      return;
    }
    if (existing !== undefined) existing.links -= 1;
    children.set(name, this.#newNode(content, looks));
  }

  /** Gives the node at `target` a further name. @throws CONTEXT_ARCHIVE_INVALID when there is none, or a directory */
  async link(path: RootPath, target: RootPath): Promise<void> {
    const real = await resolvePath(this, target, { followLast: false });
    const node = this.#find(real);
    if (node === undefined || node.content.type === "directory" || path.length === 0) {
      throw contextError(
        "CONTEXT_ARCHIVE_INVALID",
        `read ${this.label}: ${rootPathToString(path)} is a hard link to ${rootPathToString(target)}, which is no file there`,
        { hint: "make the archive again", details: { path: rootPathToString(path) } },
      );
    }
    const { children } = await this.#makeDirectory(parentRootPath(path) ?? rootPath);
    node.links += 1;
    children.set(byteString(baseName(path)), node);
  }

  async lstat(path: RootPath): Promise<NodeStat | undefined> {
    const node = this.#find(path);
    return node === undefined ? undefined : statOf(node);
  }

  async readdir(path: RootPath): Promise<readonly Buffer[]> {
    const node = this.#find(path);
    if (node?.content.type !== "directory") throw this.#unreadable(path);
    // One character a byte, so the default order is that of the bytes.
    return [...node.children.keys()].sort().map(bytesOf);
  }

  async readlink(path: RootPath): Promise<Buffer> {
    const node = this.#find(path);
    if (node?.content.type !== "symlink") throw this.#unreadable(path);
    return node.content.target;
  }

  async openFile(path: RootPath): Promise<OpenedFile> {
    const node = this.#find(path);
    if (node?.content.type !== "file") throw this.#unreadable(path);
    const handle = await open(node.content.path, "r");
    return { fd: handle.fd, size: node.content.size, close: () => handle.close() };
  }

  async xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>> {
    return this.#find(path)?.looks.xattrs ?? new Map();
  }

  /** Literal: a symlink on the way leads nowhere. */
  #find(path: RootPath): TreeNode | undefined {
    let node: TreeNode | undefined = this.#root;
    for (const name of components(path)) node = node?.children.get(byteString(name));
    return node;
  }

  async #makeDirectory(path: RootPath): Promise<TreeNode> {
    const known = this.#find(path);
    if (known?.content.type === "directory") return known;
    const real = await resolvePath(this, path, { followLast: true });
    if (real.length > maxPathLength) throw tooDeep(path);
    let node = this.#root;
    let at: RootPath = rootPath;
    for (const name of components(real)) {
      at = joinRootPath(at, name);
      const key = byteString(name);
      const next = node.children.get(key) ?? this.#newNode({ type: "directory" }, { mode: 0o755 });
      if (next.content.type !== "directory") throw misplaced(at);
      node.children.set(key, next);
      node = next;
    }
    return node;
  }

  #newNode(content: NodeContent, looks: NodeLooks): TreeNode {
    this.#count += 1;
    return { number: this.#count, content, looks, children: new Map(), links: 1 };
  }

  #unreadable(path: RootPath): Error {
    const shown = path.length === 0 ? "." : rootPathToString(path);
    return contextError("CONTEXT_UNREADABLE", `read ${shown} in ${this.label}: not there`, {
      hint: "the build context is what COPY reads from",
      details: { path: shown },
    });
  }
}

function statOf({ number, content, looks, links }: TreeNode): NodeStat {
  const { mode, uid = 0, gid = 0, mtime = 0n } = looks;
  const isDevice = content.type === "char-device" || content.type === "block-device";
  return {
    type: content.type,
    mode,
    uid,
    gid,
    size: content.type === "file" ? content.size : 0,
    mtime,
    devMajor: isDevice ? content.major : 0,
    devMinor: isDevice ? content.minor : 0,
    nlink: links,
    inode: String(number),
  };
}

function tooDeep(path: RootPath): Error {
  const shown = showName(path);
  return contextError(
    "CONTEXT_ARCHIVE_INVALID",
    `read the build context: ${shown} lies deeper than a path can lead, behind symlinks`,
    { hint: "the archive is hostile or broken; do not use it", details: { path: shown } },
  );
}

function misplaced(path: RootPath): Error {
  const shown = rootPathToString(path);
  return contextError(
    "CONTEXT_ARCHIVE_INVALID",
    `read the build context: ${shown === "" ? "its root" : shown} is no directory, and something lies in it`,
    { hint: "make the archive again", details: { path: shown } },
  );
}
