import { read } from "node:fs";
import { promisify } from "node:util";
import { resolvePath, type MergedTree } from "../layer/index.ts";
import { sandboxError } from "./errors.ts";

const readFd = promisify(read);

/** A line of /etc/passwd, as far as it matters here. */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A line of /etc/group. */
export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Far above what real images carry; a guard against images that want to fill our memory. */
const maxAccountFileBytes = 4 * 1024 * 1024;

/**
 * The entries of /etc/passwd inside `tree`, in file order; none when the file does not exist. Symlinks are followed
 * inside the tree only. Lines without numeric ids (NIS marks, broken lines) are left out, as libc does.
 *
 * @throws SANDBOX_ACCOUNTS_UNREADABLE when it is no regular file or larger than 4 MiB
 */
export async function readPasswd(tree: MergedTree): Promise<readonly PasswdEntry[]> {
  return parseEntries(await readAccountFile(tree, "etc/passwd"), (fields) => {
    const [name = "", , uid, gid, , home = ""] = fields;
    const ids = { uid: parseId(uid), gid: parseId(gid) };
    if (ids.uid === undefined || ids.gid === undefined) return undefined;
    return { name, uid: ids.uid, gid: ids.gid, home };
  });
}

/**
 * The entries of /etc/group inside `tree`; otherwise like {@link readPasswd}.
 *
 * @throws SANDBOX_ACCOUNTS_UNREADABLE
 */
export async function readGroup(tree: MergedTree): Promise<readonly GroupEntry[]> {
  return parseEntries(await readAccountFile(tree, "etc/group"), (fields) => {
    const [name = "", , gidText, members = ""] = fields;
    const gid = parseId(gidText);
    if (gid === undefined) return undefined;
    return { name, gid, members: members.split(",").filter((member) => member !== "") };
  });
}

/** A decimal id; undefined for anything else. Its range is the caller's to check. */
export function parseId(text: string | undefined): number | undefined {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}

function parseEntries<Entry>(
  text: string,
  parse: (fields: readonly string[]) => Entry | undefined,
): readonly Entry[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => parse(line.split(":")))
    .filter((entry) => entry !== undefined);
}

async function readAccountFile(tree: MergedTree, name: string): Promise<string> {
  const path = await resolvePath(tree, Buffer.from(name), { followLast: true });
  const stat = await tree.lstat(path);
  if (stat === undefined) return "";
  // Opening a fifo would wait for its writer for ever, opening a device would have the device's effects.
  if (stat.type !== "file") throw unreadable(name, `is a ${stat.type}`);
  const file = await tree.openFile(path);
  try {
    if (file.size > maxAccountFileBytes) throw unreadable(name, `has ${file.size} bytes`);
    return (await readBytes(file.fd, file.size)).toString("utf8");
  } finally {
    await file.close();
  }
}

async function readBytes(fd: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await readFd(fd, bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function unreadable(name: string, why: string): Error {
  return sandboxError("SANDBOX_ACCOUNTS_UNREADABLE", `cannot look up users: /${name} ${why}`, {
    hint: "repair the file in the image",
    details: { path: `/${name}`, maxBytes: maxAccountFileBytes },
  });
}
