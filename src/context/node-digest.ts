import { createHash, hash } from "node:crypto";
import { fstatSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import type { Digest } from "../core/index.ts";
import {
  rootPathToString,
  type MergedTree,
  type NodeStat,
  type OpenedFile,
  type RootPath,
} from "../layer/index.ts";
import { fileChanged } from "./directory-context.ts";
import { isSameVersion, statKeyOf } from "./stat-key.ts";
import type { StatKey } from "./types.ts";

const readAsync = promisify(read);

/** Files up to this size are read and hashed in one go on the main thread: the round trip to a thread costs more. */
const smallSize = 256 * 1024;
const chunkSize = 1024 * 1024;

/** Holds one header and one small file; filled and hashed without a pause, so nobody else can get at it. */
const scratch = Buffer.allocUnsafe(smallSize + 64 * 1024);

/** A node to digest. `version` is given where the tree knows it; the content is then proven to be of that version. */
export interface DigestedNode {
  readonly tree: MergedTree;
  readonly path: RootPath;
  readonly stat: NodeStat;
  readonly version: StatKey | undefined;
}

/**
 * Digest of everything in a node that ends up in an image, but for its name and times: type, mode, owners, xattrs (of
 * `security.*` and `system.*` only `security.capability`), then size and content, target, or device numbers.
 * @throws CONTEXT_FILE_CHANGED when the content is not of the version that `stat` tells
 */
export async function digestNode(node: DigestedNode): Promise<Digest> {
  const header = await encodeHeader(node);
  if (node.stat.type !== "file") return `sha256:${hash("sha256", header, "hex")}` as Digest;
  const file = await node.tree.openFile(node.path);
  try {
    if (file.size !== node.stat.size) throw changed(node);
    return await digestContent(node, { header, file });
  } finally {
    await file.close();
  }
}

async function encodeHeader(node: DigestedNode): Promise<Buffer> {
  const { tree, path, stat } = node;
  const fields: (string | number)[] = ["1", stat.type, stat.mode, stat.uid, stat.gid];
  if (stat.type === "file") fields.push(stat.size);
  if (stat.type.endsWith("device")) fields.push(stat.devMajor, stat.devMinor);
  const parts: Buffer[] = [Buffer.from(`${fields.join(" ")}\n`)];
  const xattrs = [...(await tree.xattrs(path))].filter(([name]) => entersDigest(name));
  for (const [name, value] of xattrs.sort(([a], [b]) => (a < b ? -1 : 1)))
    parts.push(Buffer.from(`${name}\0${String(value.length)}\0`), value);
  parts.push(Buffer.from("\n"));
  if (stat.type === "symlink") parts.push(await tree.readlink(path));
  return Buffer.concat(parts);
}

/** Labels of the host's security modules and ACL caches are the host's own; capabilities belong to the file. */
function entersDigest(name: string): boolean {
  if (name === "security.capability") return true;
  return !name.startsWith("security.") && !name.startsWith("system.");
}

async function digestContent(
  node: DigestedNode,
  source: { readonly header: Buffer; readonly file: OpenedFile },
): Promise<Digest> {
  const { header, file } = source;
  const fits = file.size <= smallSize && header.length + file.size < scratch.length;
  const hex = fits ? digestSmall(node, source) : await digestLarge(node, source);
  expectVersion(node, file.fd);
  return `sha256:${hex}` as Digest;
}

function digestSmall(
  node: DigestedNode,
  source: { readonly header: Buffer; readonly file: OpenedFile },
): string {
  const { header, file } = source;
  header.copy(scratch);
  let end = header.length;
  // One byte more than promised: a longer file is seen to be longer.
  const limit = header.length + file.size + 1;
  while (end < limit) {
    const count = readSync(file.fd, scratch, end, limit - end, end - header.length);
    if (count === 0) break;
    end += count;
  }
  if (end !== limit - 1) throw changed(node);
  return hash("sha256", scratch.subarray(0, end), "hex");
}

/** Reads the next chunk while the last one is hashed. */
async function digestLarge(
  node: DigestedNode,
  source: { readonly header: Buffer; readonly file: OpenedFile },
): Promise<string> {
  const { header, file } = source;
  const digester = createHash("sha256").update(header);
  const buffers = [Buffer.allocUnsafe(chunkSize), Buffer.allocUnsafe(chunkSize)] as const;
  const readChunk = (
    turn: number,
    position: number,
  ): Promise<{ bytesRead: number; buffer: Buffer }> =>
    readAsync(file.fd, buffers[turn % 2 === 0 ? 0 : 1], 0, chunkSize, position);
  let position = 0;
  let pending = readChunk(0, position);
  for (let turn = 0; ; turn++) {
    const { bytesRead, buffer } = await pending;
    position += bytesRead;
    if (bytesRead === 0) break;
    pending = readChunk(turn + 1, position);
    digester.update(buffer.subarray(0, bytesRead));
  }
  if (position !== file.size) throw changed(node);
  return digester.digest("hex");
}

/** After the reading: the open file is still the one that was looked at before. */
function expectVersion(node: DigestedNode, fd: number): void {
  const { version } = node;
  // A socket's stand-in has no version of its own, and no content either.
  if (version === undefined || node.stat.size === 0) return;
  const now = statKeyOf(version.path, fstatSync(fd, { bigint: true }));
  if (!isSameVersion(now, version)) throw changed(node);
}

function changed(node: DigestedNode): Error {
  return fileChanged(rootPathToString(node.path));
}
