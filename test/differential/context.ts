import { existsSync } from "node:fs";
import {
  chmod,
  cp,
  link,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  rename,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { loadSyscalls } from "../../src/core/index.ts";
import { casesFolder, type DifferentialCase } from "./case.ts";
import { compress } from "./compress.ts";
import { execute } from "./execute.ts";
import { writeTar, type TarSource } from "./tar.ts";

/** What git cannot hold of a context, as data; `context.json` is a list of these, applied in order. */
export interface EntryDescription {
  readonly path: string;
  /** Absent: a file, or whatever lies there already and only gets another look. */
  readonly type?: TarSource["type"] | "socket";
  /** Octal, as in chmod. */
  readonly mode?: string;
  /** Of symlinks and hard links; a hard link's is relative to the context. */
  readonly target?: string;
  readonly content?: string;
  /** Content of this many zeros instead. */
  readonly zeros?: number;
  /** `major:minor`. */
  readonly device?: string;
  /** Seconds since 1970. */
  readonly mtime?: number;
  /** Name → value, as text. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** `uid:gid`, in archives only: a context has no owners. */
  readonly owner?: string;
  /** The file is an archive of these, compressed as its name says (.gz, .bz2, .xz, .zst). */
  readonly tar?: readonly EntryDescription[];
}

/** The time of everything that does not say its own: a copied time is told from a made-up one by it. */
export const contextTime = 1_000_000_000;

/**
 * The context's folder inside of a case's copy. It is named after the case because engines take contexts of one name
 * for versions of each other, and skip files whose size and time they have seen there.
 */
export function contextFolder(folder: string, { name }: DifferentialCase): string {
  return join(folder, name);
}

/**
 * Copies a case into `folder`: what lies in the case's folder as it is, with the Dockerfile inside of the context, the
 * modes that git has (0644, 0755) whatever the umask says, and {@link contextTime} as time of everything.
 */
export async function layOutCase(folder: string, laidOut: DifferentialCase): Promise<void> {
  const { folder: source, options } = laidOut;
  const context = contextFolder(folder, laidOut);
  await mkdir(context, { recursive: true });
  const shared = options.context === undefined ? [] : [join("_contexts", options.context)];
  for (const from of shared.map((name) => join(casesFolder, name))) {
    await copyTree(join(from, "context"), context);
    await applyDescriptions(context, from);
  }
  for (const name of await readdir(source)) {
    await copyTree(join(source, name), name === "context" ? context : join(folder, name));
  }
  await rename(join(folder, "Dockerfile"), join(context, "Dockerfile"));
  await settle(folder);
  for (const from of [...shared.map((name) => join(casesFolder, name)), source]) {
    await applyDescriptions(context, from);
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  const filter = (path: string): boolean => !/\/(?:options|context)\.json$/.test(path);
  await cp(from, to, { recursive: true, verbatimSymlinks: true, filter });
}

/** Gives a tree the modes that git has and the time of contexts, folders last: making a file changes its folder's. */
async function settle(path: string): Promise<void> {
  const stat = await lstat(path);
  if (stat.isDirectory()) {
    for (const name of await readdir(path)) await settle(join(path, name));
  }
  if (!stat.isSymbolicLink()) {
    await chmod(path, stat.isDirectory() || (stat.mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
  await lutimes(path, contextTime, contextTime);
}

async function applyDescriptions(context: string, from: string): Promise<void> {
  const file = join(from, "context.json");
  if (!existsSync(file)) return;
  const entries = JSON.parse(await readFile(file, "utf8")) as EntryDescription[];
  for (const entry of entries) await makeEntry(context, entry);
  // Folders changed while their content was made, so looks come afterwards, the deepest first.
  for (const entry of [...entries].reverse()) await dress(context, entry);
}

async function makeEntry(context: string, entry: EntryDescription): Promise<void> {
  const path = join(context, entry.path);
  await mkdir(dirname(path), { recursive: true });
  switch (entry.type) {
    case "directory":
      await mkdir(path, { recursive: true });
      return;
    case "symlink":
      await symlink(entry.target ?? "", path);
      return;
    case "hardlink":
      await link(join(context, entry.target ?? ""), path);
      return;
    case "fifo":
      await execute(["mkfifo", path]);
      return;
    case "char":
    case "block": {
      const numbers = (entry.device ?? "").split(":");
      await execute(["mknod", path, entry.type === "char" ? "c" : "b", ...numbers]);
      return;
    }
    case "socket":
      await makeSocket(path);
      return;
    case "file":
    case undefined:
      if (entry.type === undefined && existsSync(path)) return;
      await writeFile(path, await contentOf(entry));
  }
}

async function dress(context: string, entry: EntryDescription): Promise<void> {
  const path = join(context, entry.path);
  if (entry.type === "hardlink") return;
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) {
    (await loadSyscalls()).lsetxattr(path, name, Buffer.from(value));
  }
  if (entry.type !== "symlink") {
    const usual = entry.type === "directory" ? "755" : "644";
    if (entry.type !== undefined || entry.mode !== undefined || entry.tar !== undefined) {
      await chmod(path, Number.parseInt(entry.mode ?? usual, 8));
    }
  }
  const time = entry.mtime ?? contextTime;
  await lutimes(path, time, time);
  for (let above = dirname(path); above.length >= context.length; above = dirname(above)) {
    await lutimes(above, contextTime, contextTime);
  }
}

async function contentOf(entry: EntryDescription): Promise<Buffer> {
  if (entry.tar !== undefined) {
    return compress(writeTar(entry.tar.map(tarSourceOf)), entry.path);
  }
  return entry.zeros === undefined ? Buffer.from(entry.content ?? "") : Buffer.alloc(entry.zeros);
}

/** An entry of an archive, with the looks that it does not mention: 0644 or 0755, root's, {@link contextTime}. */
export function tarSourceOf(entry: EntryDescription): TarSource {
  const { type = "file" } = entry;
  if (type === "socket") throw new Error(`${entry.path}: archives hold no sockets`);
  const usual = type === "directory" ? "755" : type === "symlink" ? "777" : "644";
  const [uid = "0", gid = "0"] = (entry.owner ?? "0:0").split(":");
  return {
    path: entry.path,
    type,
    mode: Number.parseInt(entry.mode ?? usual, 8),
    uid: Number(uid),
    gid: Number(gid),
    mtime: entry.mtime ?? contextTime,
    target: entry.target ?? "",
    device: entry.device ?? "",
    xattrs: new Map(
      Object.entries(entry.xattrs ?? {}).map(([name, value]) => [
        name,
        Buffer.from(value).toString("hex"),
      ]),
    ),
    content: type === "file" ? Buffer.from(entry.content ?? "") : Buffer.alloc(0),
  };
}

/** A socket that nobody listens on: closing a server removes only the name that it was bound to. */
async function makeSocket(path: string): Promise<void> {
  const server = createServer();
  const bound = `${path}.bound`;
  await new Promise<void>((fulfil, reject) => {
    server.once("error", reject);
    server.listen(bound, fulfil);
  });
  await rename(bound, path);
  await new Promise((fulfil) => server.close(fulfil));
}
