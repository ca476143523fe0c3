import { randomBytes } from "node:crypto";
import {
  open,
  readdir,
  readFile,
  rename,
  rmdir,
  stat,
  unlink,
  type FileHandle,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  makeFolder,
  digestHex,
  digestOf,
  errnoOf,
  loadSyscalls,
  removeTree,
} from "../core/index.ts";
import { measureTree } from "./measure-tree.ts";

/** How several users of one cache get along. */
export type CacheSharing =
  /** All see one directory. */
  | "shared"
  /** Each has one to itself; a second user at the same time gets another. */
  | "private"
  /** One after the other. */
  | "locked";

export interface CacheMountRequest {
  /** What tells one cache from another. */
  readonly key: string;
  readonly sharing: CacheSharing;
  /** Gives a new cache its content. `directory` is there, empty and 0755; it appears as a whole or not at all. */
  readonly fill: (directory: string) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** A cache directory in use. */
export interface HeldCacheMount {
  /** Absolute. */
  readonly directory: string;
  /**
   * Folder for notes of whoever moves the directory, or a part of it, elsewhere for a while: files `away-…` with JSON
   * {home, place}, two paths. If they die, the next user finds it by them. Only a sole user may.
   */
  readonly notes: string;
  /** The open lock. Whatever else writes to the directory has a copy of it, which locks for as long as it is open. */
  readonly lock: number;
  /** Idempotent. */
  release(): Promise<void>;
}

/** Sizes in bytes of files. */
export interface CacheMountUsage {
  readonly total: number;
  readonly active: number;
  readonly size: number;
  readonly reclaimable: number;
}

/**
 * Directories that outlive builds, for `RUN --mount=type=cache`, shared by all processes of one state root:
 *
 * ```
 * mounts-cache/<hex of the key>/<n>/data   what is mounted; n > 0 where users do not share
 *                                  /lock   flock: shared or exclusive, as its users are
 *                                  /away-* where data, or a part of it, is meanwhile
 * mounts-cache/discarded-<random>/         emptied while somebody used it; goes with the next prune
 * ```
 *
 * An instance is made in the process' own folder and appears by one rename. The kernel frees the lock when the last
 * process that has it open ends, however it ends: a step keeps it open beside the process that started it.
 */
export interface CacheMountStore {
  /** Waits only where `sharing` is `locked`. @throws the reason of `signal` */
  acquire(request: CacheMountRequest): Promise<HeldCacheMount>;
  /** The next user of the key gets a new cache. Whoever uses it now keeps what it has. */
  discard(key: string): Promise<void>;
  usage(): Promise<CacheMountUsage>;
  /**
   * Brings back what was moved below `folder` by a process that is dead.
   * @throws while what that process has started still uses it
   */
  bringBack(folder: string): Promise<void>;
  /** Removes those that nobody uses. */
  prune(): Promise<{ readonly removed: number; readonly bytes: number }>;
}

/** Whoever only looks whether a cache is in use locks it too, for less than this. */
const glanceMs = 20;

export function openCacheMounts(places: {
  /** Made when it is needed. */
  readonly directory: string;
  readonly tmpDir: string;
}): CacheMountStore {
  const { directory, tmpDir } = places;
  const folderOf = (key: string): string => join(directory, digestHex(digestOf(key)));
  const temporary = (): string => join(tmpDir, `cache-mount-${randomBytes(8).toString("hex")}`);

  const removeInstance = async (path: string): Promise<void> => {
    const trash = temporary();
    await rename(path, trash);
    await removeTree(trash);
  };

  return {
    acquire: async (request) => {
      const folder = folderOf(request.key);
      for (let index = 0, isSecondLook = false; ;) {
        request.signal?.throwIfAborted();
        const path = join(folder, String(index));
        const found = await lockInstance(path, request);
        if (typeof found !== "string") return found;
        if (found === "missing") await createInstance(path, temporary(), request.fill);
        if (found !== "busy") continue;
        if (isSecondLook) index += 1;
        else await sleep(glanceMs);
        isSecondLook = !isSecondLook;
      }
    },
    discard: async (key) => {
      for (const path of await entriesOf(folderOf(key))) {
        if (await whenUnused(path, removeInstance)) continue;
        const aside = join(directory, `discarded-${randomBytes(8).toString("hex")}`);
        await rename(path, aside).catch(unlessGone);
      }
    },
    usage: async () => {
      const usage = { total: 0, active: 0, size: 0, reclaimable: 0 };
      for (const path of await instancesIn(directory)) {
        const size = await measureTree(join(path, "data"));
        const isFree = await whenUnused(path, () => Promise.resolve());
        usage.total += 1;
        usage.active += isFree ? 0 : 1;
        usage.size += size;
        usage.reclaimable += isFree ? size : 0;
      }
      return usage;
    },
    bringBack: async (folder) => {
      for (const path of await instancesIn(directory)) {
        const notes = await readNotes(path);
        if (!notes.some(({ place }) => place.startsWith(`${folder}/`))) continue;
        if (!(await whenUnused(path, bringAllBack))) throw new Error(`${path} is in use`);
      }
    },
    prune: async () => {
      const report = { removed: 0, bytes: 0 };
      for (const path of await instancesIn(directory)) {
        await whenUnused(path, async () => {
          report.bytes += await measureTree(join(path, "data"));
          report.removed += 1;
          await removeInstance(path);
        });
      }
      for (const folder of await entriesOf(directory)) await removeIfEmpty(folder);
      return report;
    },
  };
}

/** `busy`: another one may serve. `replaced`: it was removed meanwhile, ask again. */
async function lockInstance(
  path: string,
  { sharing, signal }: CacheMountRequest,
): Promise<HeldCacheMount | "missing" | "busy" | "replaced"> {
  const handle = await openLock(path);
  if (handle === undefined) return "missing";
  try {
    const { flock } = await loadSyscalls();
    const isLocked = await flock(handle.fd, {
      exclusive: sharing !== "shared",
      nonBlocking: sharing !== "locked",
      signal,
    });
    const outcome = !isLocked ? "busy" : (await isNamed(handle, path)) ? "held" : "replaced";
    if (outcome !== "held") {
      await handle.close();
      return outcome;
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await bringAllBack(path);
  return {
    directory: join(path, "data"),
    notes: path,
    lock: handle.fd,
    release: async () => {
      if (handle.fd >= 0) await handle.close();
    },
  };
}

/** What a process that was killed had moved away. Whoever calls this has locked the instance. */
async function bringAllBack(path: string): Promise<void> {
  for (const { home, place, note } of await readNotes(path)) {
    await rename(place, home).catch((error: unknown) => {
      // It was home already, or is gone with what it lay in: then it is empty, as a new one would be.
      if (!["ENOENT", "ENOTEMPTY", "EEXIST", "EXDEV"].includes(errnoOf(error) ?? "")) throw error;
    });
    makeFolder(home);
    await unlink(note).catch(unlessGone);
  }
}

interface AwayNote {
  readonly home: string;
  readonly place: string;
  /** Path of the note itself. */
  readonly note: string;
}

async function readNotes(path: string): Promise<readonly AwayNote[]> {
  const notes: AwayNote[] = [];
  for (const note of await entriesOf(path)) {
    if (!basename(note).startsWith("away-")) continue;
    const text = await readFile(note, "utf8").catch(unlessGone);
    const found = text === undefined ? undefined : parseNote(text);
    if (found !== undefined) notes.push({ ...found, note });
  }
  return notes;
}

/** undefined for one that was being written when its writer died: then nothing had been moved yet. */
function parseNote(text: string): { readonly home: string; readonly place: string } | undefined {
  try {
    const { home, place } = JSON.parse(text) as {
      readonly home?: unknown;
      readonly place?: unknown;
    };
    if (typeof home === "string" && typeof place === "string") return { home, place };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}

async function createInstance(
  path: string,
  draft: string,
  fill: CacheMountRequest["fill"],
): Promise<void> {
  try {
    const data = join(draft, "data");
    makeFolder(data, 0o755);
    await fill(data);
    await (await open(join(draft, "lock"), "wx", 0o600)).close();
    while (!(await giveName(draft, path)));
  } catch (error) {
    await removeTree(draft);
    // Somebody else was first, which is just as well.
    if (errnoOf(error) !== "ENOTEMPTY" && errnoOf(error) !== "EEXIST") throw error;
  }
}

/** False when a prune removed the folder of the key, which was empty, a moment ago. */
async function giveName(draft: string, path: string): Promise<boolean> {
  makeFolder(dirname(path));
  try {
    await rename(draft, path);
    return true;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    // When it is the draft that is gone, this says so.
    await stat(draft);
    return false;
  }
}

/** Runs `work` while nobody uses the instance; false when somebody does. */
async function whenUnused(path: string, work: (path: string) => Promise<void>): Promise<boolean> {
  const handle = await openLock(path);
  if (handle === undefined) return true;
  try {
    const { flock } = await loadSyscalls();
    if (!(await flock(handle.fd, { exclusive: true, nonBlocking: true }))) return false;
    if (await isNamed(handle, path)) await work(path);
    return true;
  } finally {
    await handle.close();
  }
}

async function openLock(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(join(path, "lock"), "r+");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether the lock is still that of the instance: it may have been removed between opening and locking. */
async function isNamed(handle: FileHandle, path: string): Promise<boolean> {
  try {
    const [held, named] = await Promise.all([handle.stat(), stat(join(path, "lock"))]);
    return held.ino === named.ino && held.dev === named.dev;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Every instance of every key, and those that were discarded while in use. */
async function instancesIn(directory: string): Promise<readonly string[]> {
  const folders = await entriesOf(directory);
  const nested = folders.map(async (folder) =>
    basename(folder).startsWith("discarded-") ? [folder] : entriesOf(folder),
  );
  return (await Promise.all(nested)).flat();
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort().map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** The kernel does not remove a folder in which somebody has just made an instance. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
  }
}

function unlessGone(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
}
