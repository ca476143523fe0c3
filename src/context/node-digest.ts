import { createHash, hash } from "node:crypto";
import { read, readSync } from "node:fs";
import { promisify } from "node:util";
import { losslessBytes } from "../core/index.ts";
import {
  rootPathToString,
  type LocalFile,
  type LocalTree,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../layer/index.ts";
import { fileChanged } from "./context-problems.ts";
import type { DigestBytes } from "./types.ts";

const readAsync = promisify(read);

/** Files up to this size are read and hashed in one go on the main thread: the round trip to a thread costs more. */
export const smallSize = 256 * 1024;
const chunkSize = 1024 * 1024;

/** Holds one header and one small file; filled and hashed without a pause, so nobody else can get at it. */
const scratch = Buffer.allocUnsafeSlow(smallSize + 64 * 1024);

interface DigestedNode {
  readonly path: RootPath;
  readonly stat: NodeStat;
  /** Ends the reading of a large file, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

type Attributes = ReadonlyMap<string, Buffer>;

/**
 * Digest of everything in a node that ends up in an image, but for its name and times: type, mode, owners, xattrs (of
 * `security.*` and `system.*` only `security.capability`), then size and content, target, or device numbers.
 * @throws CONTEXT_FILE_CHANGED when the content is not of the version that `stat` tells
 */
export async function digestNode(
  node: DigestedNode & { readonly tree: MergedTree },
): Promise<DigestBytes> {
  const { tree, path, stat } = node;
  const xattrs = await tree.xattrs(path);
  if (stat.type !== "file") {
    const target = stat.type === "symlink" ? await tree.readlink(path) : none;
    return digestOfParts(encodeHeader(stat, xattrs), target);
  }
  const file = await tree.openFile(path);
  if (file.size !== stat.size) {
    await file.close();
    throw changed(node);
  }
  const { fd, size } = file;
  return digestOpenFile(node, {
    fd,
    size,
    xattrs: () => xattrs,
    verify: () => file.verify?.(),
    close: async () => file.close(),
  });
}

/** The same of a tree that waits for nothing; a promise only where a file is so large that reading it takes a while. */
export function digestLocalNode(
  node: DigestedNode & { readonly tree: LocalTree },
): DigestBytes | Promise<DigestBytes> {
  const { tree, path, stat } = node;
  if (stat.type !== "file") {
    const target = stat.type === "symlink" ? tree.readlink(path) : none;
    return digestOfParts(encodeHeader(stat, tree.xattrs(path)), target);
  }
  const file = tree.open(path, stat);
  if (!isSmall(stat)) return digestOpenFile(node, file);
  try {
    const digest = digestSmall(node, { header: encodeHeader(stat, file.xattrs()), fd: file.fd });
    file.verify();
    return digest;
  } catch (error) {
    // Something that cannot be read like a file took its place.
    file.verify();
    throw error;
  } finally {
    file.close();
  }
}

type OpenFile = Omit<LocalFile, "close"> & { close(): void | Promise<void> };

async function digestOpenFile(node: DigestedNode, file: OpenFile): Promise<DigestBytes> {
  const { fd } = file;
  try {
    const header = encodeHeader(node.stat, file.xattrs());
    const digest = isSmall(node.stat)
      ? digestSmall(node, { header, fd })
      : await digestLarge(node, { header, fd });
    file.verify();
    return digest;
  } catch (error) {
    // As above: a FIFO or a directory is told as the change that it is.
    file.verify();
    throw error;
  } finally {
    await file.close();
  }
}

const none = Buffer.alloc(0);

function digestOfParts(header: string, target: Buffer): DigestBytes {
  const bytes = Buffer.concat([Buffer.from(header, "latin1"), target]);
  return hash("sha256", bytes, "buffer");
}

type HeaderStat = PlainLooks & Pick<NodeStat, "type" | "devMajor" | "devMinor">;

/** One character a byte. */
function encodeHeader(stat: HeaderStat, attributes: Attributes): string {
  let header = `1 ${stat.type} ${String(stat.mode)} ${String(stat.uid)} ${String(stat.gid)}`;
  if (stat.type === "file") header += ` ${String(stat.size)}`;
  if (stat.type.endsWith("device")) header += ` ${String(stat.devMajor)} ${String(stat.devMinor)}`;
  header += "\n";
  if (attributes.size > 0) header += encodeXattrs(attributes);
  return `${header}\n`;
}

function encodeXattrs(attributes: Attributes): string {
  const xattrs = [...attributes].filter(([name]) => entersDigest(name));
  return xattrs
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      const bytes = losslessBytes(name).toString("latin1");
      return `${bytes}\0${String(value.length)}\0${value.toString("latin1")}`;
    })
    .join("");
}

/** Labels of the host's security modules and ACL caches are the host's own; capabilities and POSIX ACLs belong to the file. */
function entersDigest(name: string): boolean {
  if (name === "security.capability" || name.startsWith("system.posix_acl_")) return true;
  return !name.startsWith("security.") && !name.startsWith("system.");
}

function isSmall(stat: NodeStat): boolean {
  return stat.size <= smallSize;
}

interface Source {
  readonly header: string;
  readonly fd: number;
}

function digestSmall(node: DigestedNode, { header, fd }: Source): DigestBytes {
  const bytes = readBehind(header, { fd, size: node.stat.size });
  if (bytes === undefined) throw changed(node);
  return hash("sha256", bytes, "buffer");
}

/** Header and content, in memory that the next call uses again; undefined when the file is shorter now. */
function readBehind(
  header: string,
  { fd, size }: { readonly fd: number; readonly size: number },
): Buffer | undefined {
  // XATTR_LIST_MAX does not bound the values: there may be more of them than fit.
  const place =
    header.length + size < scratch.length ? scratch : Buffer.alloc(header.length + size + 1);
  const start = place.write(header, 0, "latin1");
  // A file that grew meanwhile is seen by its version, without one more read to find its end.
  const end = start + readUpTo(fd, place.subarray(start, start + size));
  return end === start + size ? place.subarray(0, end) : undefined;
}

/** What of a file without attributes enters its digest, but the content. */
export type PlainLooks = Pick<NodeStat, "mode" | "uid" | "gid" | "size">;

/**
 * The 32 bytes of what `digestNode` says about an open file of up to `smallSize` bytes that has no attributes; undefined when
 * it is shorter than `looks` tells.
 */
export function digestPlainFile(fd: number, looks: PlainLooks): Buffer | undefined {
  const bytes = readBehind(plainHead(looks), { fd, size: looks.size });
  return bytes && hash("sha256", bytes, "buffer");
}

/** What comes before the content in the digest of such a file. */
export function plainHead({ mode, uid, gid, size }: PlainLooks): string {
  return encodeHeader(
    { type: "file", mode, uid, gid, size, devMajor: 0, devMinor: 0 },
    noAttributes,
  );
}

const noAttributes: Attributes = new Map();

/** Bytes that were there. */
function readUpTo(fd: number, target: Buffer): number {
  let length = 0;
  while (length < target.length) {
    const count = readSync(fd, target, length, target.length - length, length);
    if (count === 0) break;
    length += count;
  }
  return length;
}

/** Reads the next chunk while the last one is hashed. */
async function digestLarge(node: DigestedNode, { header, fd }: Source): Promise<DigestBytes> {
  const digester = createHash("sha256").update(header, "latin1");
  const buffers = [Buffer.allocUnsafe(chunkSize), Buffer.allocUnsafe(chunkSize)] as const;
  const readChunk = (
    turn: number,
    position: number,
  ): Promise<{ bytesRead: number; buffer: Buffer }> =>
    readAsync(fd, buffers[turn % 2 === 0 ? 0 : 1], 0, chunkSize, position);
  let position = 0;
  let pending = readChunk(0, position);
  for (let turn = 0; ; turn++) {
    const { bytesRead, buffer } = await pending;
    position += bytesRead;
    if (bytesRead === 0) break;
    pending = readChunk(turn + 1, position);
    digester.update(buffer.subarray(0, bytesRead));
    if (node.signal?.aborted !== true) continue;
    // Nothing reads any more when the file is closed.
    await pending;
    node.signal.throwIfAborted();
  }
  if (position !== node.stat.size) throw changed(node);
  return digester.digest();
}

function changed(node: DigestedNode): Error {
  return fileChanged(rootPathToString(node.path));
}
