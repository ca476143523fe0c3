import { randomBytes } from "node:crypto";
import {
  open,
  readFile,
  rename,
  rmdir,
  stat,
  utimes,
  writeFile,
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
  lockDirectory,
  removeTree,
} from "../core/index.ts";
import { parseCacheMountKey, type CacheMountName } from "./cache-mount-name.ts";
import { bringAllBack, entriesOf, readNotes, unlessGone } from "./cache-mount-notes.ts";
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

/** A cache that is there. */
export interface CacheMountEntry {
  readonly key: string;
  readonly name: CacheMountName;
  /** 0, and more where users did not share. */
  readonly instance: number;
  /** Absolute. */
  readonly directory: string;
  /** When a step used it last, in milliseconds since the epoch. */
  readonly lastUsed: number;
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
 *                                  /key    what the hex is of; its time is that of the last use
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
  /** Those that can be told by name, sorted by key; without those that were discarded. */
  list(): Promise<readonly CacheMountEntry[]>;
  /**
   * Holds the first cache of a key for reading, once nobody has it alone; undefined when there is none. Those who share
   * it may write to it meanwhile. @throws the reason of `signal`
   */
  read(key: string, signal?: AbortSignal): Promise<HeldCacheMount | undefined>;
  /** Makes a cache in place of those of the key, at once and whole. Whoever uses one now keeps what it has. */
  replace(request: Pick<CacheMountRequest, "key" | "fill">): Promise<void>;
  /** The next user of the key gets a new cache. Whoever uses it now keeps what it has. */
  discard(key: string): Promise<void>;
  usage(): Promise<CacheMountUsage>;
  /**
   * Brings back what was moved below `folder` by a process that is dead.
   * @throws while what that process has started still uses it
   */
  bringBack(folder: string): Promise<void>;
  /** Bytes of the files in it. */
  measure(entry: CacheMountEntry): Promise<number>;
  /** Removes those that nobody uses; with `wanted`, only such as `list` tells and as are wanted gone. */
  prune(options?: {
    readonly wanted?: (entry: CacheMountEntry) => boolean;
  }): Promise<{ readonly removed: number; readonly bytes: number }>;
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

  /** Takes an instance out of its folder, which is locked, unless somebody uses it; gives the place where it is then. */
  const takeOut = async (path: string): Promise<string | "in use" | "gone"> => {
    const trash = temporary();
    let isOut = false;
    const isUnused = await whenUnused(path, async () => {
      await rename(path, trash);
      isOut = true;
    });
    if (!isUnused) return "in use";
    return isOut ? trash : "gone";
  };

  const discard = async (key: string): Promise<void> => {
    const trash: string[] = [];
    await whileLocked(folderOf(key), async (folder) => {
      for (const path of await entriesOf(folder)) {
        const taken = await takeOut(path);
        const aside = join(directory, `discarded-${randomBytes(8).toString("hex")}`);
        if (taken === "in use") await rename(path, aside).catch(unlessGone);
        else if (taken !== "gone") trash.push(taken);
      }
    });
    for (const path of trash) await removeTree(path);
  };

  return {
    acquire: async (request) => {
      const { key, sharing, signal } = request;
      const folder = folderOf(key);
      const lock = { exclusive: sharing !== "shared", nonBlocking: sharing !== "locked", signal };
      for (let index = 0, isSecondLook = false; ;) {
        signal?.throwIfAborted();
        const path = join(folder, String(index));
        const found = await lockInstance(path, lock);
        if (typeof found !== "string") return tellUse(found, key);
        if (found === "missing") await createInstance(path, { ...request, draft: temporary() });
        if (found !== "busy") continue;
        if (isSecondLook) index += 1;
        else await sleep(glanceMs);
        isSecondLook = !isSecondLook;
      }
    },
    list: async () => {
      const found = await Promise.all((await instancesIn(directory)).map(readEntry));
      return found.flatMap((entry) => entry ?? []);
    },
    read: async (key, signal) => {
      for (;;) {
        const lock = { exclusive: false, nonBlocking: false, signal };
        const found = await lockInstance(join(folderOf(key), "0"), lock);
        if (found === "missing") return undefined;
        if (typeof found !== "string") return found;
      }
    },
    replace: async ({ key, fill }) => {
      const draft = temporary();
      try {
        await fillDraft(draft, { key, fill });
        do await discard(key);
        while (!(await takesPlace(draft, join(folderOf(key), "0"))));
      } catch (error) {
        await removeTree(draft);
        throw error;
      }
    },
    discard,
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
    measure: (entry) => measureTree(entry.directory),
    prune: async ({ wanted } = {}) => {
      const report = { removed: 0, bytes: 0 };
      for (const path of await instancesIn(directory)) {
        if (wanted !== undefined) {
          const entry = await readEntry(path);
          if (entry === undefined || !wanted(entry)) continue;
        }
        const taken = await whileLocked(dirname(path), () => takeOut(path));
        if (taken === undefined || taken === "in use" || taken === "gone") continue;
        report.bytes += await measureTree(join(taken, "data"));
        report.removed += 1;
        await removeTree(taken);
      }
      for (const folder of await entriesOf(directory)) await removeIfEmpty(folder);
      return report;
    },
  };
}

/** `busy`: another one may serve. `replaced`: it was removed meanwhile, ask again. */
async function lockInstance(
  path: string,
  lock: {
    readonly exclusive: boolean;
    readonly nonBlocking: boolean;
    readonly signal: AbortSignal | undefined;
  },
): Promise<HeldCacheMount | "missing" | "busy" | "replaced"> {
  const handle = await openLock(path);
  if (handle === undefined) return "missing";
  try {
    const { flock } = await loadSyscalls();
    const isLocked = await flock(handle.fd, lock);
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

async function createInstance(
  path: string,
  { draft, ...content }: Pick<CacheMountRequest, "key" | "fill"> & { readonly draft: string },
): Promise<void> {
  try {
    await fillDraft(draft, content);
    // Somebody else may be first, which is just as well.
    if (!(await takesPlace(draft, path))) await removeTree(draft);
  } catch (error) {
    await removeTree(draft);
    throw error;
  }
}

async function fillDraft(
  draft: string,
  { key, fill }: Pick<CacheMountRequest, "key" | "fill">,
): Promise<void> {
  const data = join(draft, "data");
  makeFolder(data, 0o755);
  await fill(data);
  await writeFile(join(draft, "key"), key, { mode: 0o600 });
  await (await open(join(draft, "lock"), "wx", 0o600)).close();
}

/** Notes that the cache is used now. One that an older version made learns its key so. */
async function tellUse(held: HeldCacheMount, key: string): Promise<HeldCacheMount> {
  const file = join(held.notes, "key");
  const now = new Date();
  try {
    await utimes(file, now, now);
  } catch (error) {
    // What a reader sees of a key that is half written is no key.
    if (errnoOf(error) === "ENOENT") await writeFile(file, key, { mode: 0o600 });
    else {
      await held.release();
      throw error;
    }
  }
  return held;
}

/** undefined for what is no cache, was discarded, or does not say its key. */
async function readEntry(path: string): Promise<CacheMountEntry | undefined> {
  const file = join(path, "key");
  const key = await readFile(file, "utf8").catch(unlessGone);
  const times = await stat(file).catch(unlessGone);
  if (key === undefined || times === undefined) return undefined;
  if (basename(dirname(path)) !== digestHex(digestOf(key))) return undefined;
  const name = parseCacheMountKey(key);
  const instance = Number(basename(path));
  if (name === undefined) return undefined;
  return { key, name, instance, directory: join(path, "data"), lastUsed: times.mtimeMs };
}

/** Gives a whole draft its name; false when somebody else has it. */
async function takesPlace(draft: string, path: string): Promise<boolean> {
  try {
    while (!(await giveName(draft, path)));
    return true;
  } catch (error) {
    if (errnoOf(error) !== "ENOTEMPTY" && errnoOf(error) !== "EEXIST") throw error;
    return false;
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

/**
 * Runs `work` while no other takes instances out of a folder: whatever has a name there keeps it, or one that was looked at
 * could be another one by now. undefined when the folder is gone.
 */
async function whileLocked<Outcome>(
  folder: string,
  work: (folder: string) => Promise<Outcome>,
): Promise<Outcome | undefined> {
  const lock = await lockDirectory(folder, undefined).catch(unlessGone);
  if (lock === undefined) return undefined;
  try {
    return await work(folder);
  } finally {
    await lock.close();
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

/** The kernel does not remove a folder in which somebody has just made an instance. */
async function removeIfEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
  }
}
