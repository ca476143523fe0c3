import { randomBytes } from "node:crypto";
import { constants, mkdirSync, renameSync, rmdirSync, unlinkSync } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { errnoOf, isDiskFull, loadSyscalls, removeTree } from "../core/index.ts";

/*
 * `tmp/<process>/lock` tells a living process from a dead one. It is a listening Unix socket: the kernel lets go of it
 * when the process ends, however it ends, so a reused pid cannot keep a dead one alive; and unlike a pid it means the
 * same in every pid namespace, for CI jobs in containers that share a root. flock(2) would do as well, but reaching it
 * costs 10 to 15 ms of every command, a socket 2 ms. Filesystems that cannot hold a socket get a file under flock.
 *
 * A folder takes its name by rename once its lock is held, and gives it up by rename before the lock is released:
 * a folder under a process' name is never without its lock.
 */

const lockName = "lock";

/** Longest path in `sockaddr_un`, without the final NUL. */
const maxSocketPath = 107;

/** What lies in `tmp/`: folders of processes, folders that become such (and the first file of a root), and garbage. */
export type TmpEntryKind = "process" | "new" | "old" | "foreign";

export function tmpEntryKind(name: string): TmpEntryKind {
  if (/^\d+-[0-9a-f]{16}$/.test(name)) return "process";
  if (/^(new|write)-[0-9a-f]{16}$/.test(name)) return "new";
  return /^old-[0-9a-f]{16}$/.test(name) ? "old" : "foreign";
}

/** A folder that is this process' own until `release`, or until the process ends. */
export interface ProcessFolder {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Removes the folder and all in it. */
  release(): Promise<void>;
}

/**
 * Makes a folder in `tmp` that other processes can tell to be alive. Errors are Node's own. Synchronous where it can be:
 * every command begins with this, and each way through the thread pool costs more than the system call.
 */
export async function claimProcessFolder(tmp: string): Promise<ProcessFolder> {
  const id = randomBytes(8).toString("hex");
  const staging = join(tmp, `new-${id}`);
  const name = `${String(process.pid)}-${id}`;
  const path = join(tmp, name);
  mkdirSync(staging, { mode: 0o700 });
  const unlock = await holdLock(staging);
  try {
    renameSync(staging, path);
  } catch (error) {
    await unlock();
    throw error;
  }
  const release = async (): Promise<void> => {
    let old: string | undefined;
    try {
      old = retire(tmp, name);
    } finally {
      await unlock();
    }
    if (old !== undefined && !removeIfUnused(old)) await removeTree(old);
  };
  return { name, path, release };
}

/** False when there is more in the folder than its lock. */
function removeIfUnused(folder: string): boolean {
  try {
    unlinkIfThere(join(folder, lockName));
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** `rmSync` with `force` does the same, but loads a module for it. */
export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** Takes the folder's name away, so that it is garbage for everybody; undefined when another was faster. */
export function retire(tmp: string, name: string): string | undefined {
  const old = join(tmp, `old-${randomBytes(8).toString("hex")}`);
  try {
    renameSync(join(tmp, name), old);
    return old;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Whether the process that claimed the folder still runs. In doubt it does: only a lock that the kernel has let go of
 * proves death. `unlocked` means that there is no lock at all, which no living process on a sane filesystem shows.
 */
export async function probeFolder(path: string): Promise<"alive" | "dead" | "unlocked"> {
  const lock = join(path, lockName);
  try {
    return (await lstat(lock)).isSocket() ? await probeSocket(path) : await probeFlock(lock);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "unlocked";
    throw error;
  }
}

type Unlock = () => Promise<void>;

async function holdLock(folder: string): Promise<Unlock> {
  try {
    return await holdSocket(folder);
  } catch (error) {
    if (isDiskFull(error)) throw error;
    // No sockets here, as on some FUSE and 9p mounts.
    return holdFlock(join(folder, lockName));
  }
}

async function holdSocket(folder: string): Promise<Unlock> {
  const { address, handle } = await socketAddress(folder);
  const server = createServer((connection) => connection.destroy());
  try {
    await listen(server, address);
  } catch (error) {
    await handle?.close();
    throw error;
  }
  server.unref();
  return async () => {
    const closed = new Promise((done) => server.close(done));
    if (handle === undefined) return;
    // Closing makes libuv remove the address as it was bound, so the descriptor in it must not be reused before.
    await closed;
    await handle.close();
  };
}

async function listen(server: Server, address: string): Promise<void> {
  const failed = new Promise<never>((_, reject) => server.once("error", reject));
  failed.catch(() => undefined);
  listenAlone(server, address);
  // Bound inside the call; only a failure is told by an event.
  if (!server.listening) await failed;
  server.removeAllListeners("error");
  // A failed accept, as with EMFILE, takes nothing from whoever asked: connecting was the answer.
  server.on("error", () => undefined);
}

/**
 * `listen` without its question whether this process belongs to a cluster, for which Node loads `cluster`, `dgram` and
 * `child_process`, ten modules and 1.2 ms. The method is what `listen` calls itself; a Node without it is asked the
 * documented way.
 */
function listenAlone(server: Server, address: string): void {
  const listen: unknown = Reflect.get(server, "_listen2");
  const isPath = -1;
  if (typeof listen === "function") Reflect.apply(listen, server, [address, isPath, isPath]);
  else server.listen(address);
}

async function probeSocket(folder: string): Promise<"alive" | "dead" | "unlocked"> {
  const { address, handle } = await socketAddress(folder);
  try {
    return await new Promise((resolve) => {
      const connection = connect(address);
      connection.once("connect", () => {
        connection.destroy();
        resolve("alive");
      });
      connection.once("error", (error) => {
        const errno = errnoOf(error);
        if (errno === "ECONNREFUSED") resolve("dead");
        // Anything else, such as EACCES or a full backlog, proves nothing.
        else resolve(errno === "ENOENT" ? "unlocked" : "alive");
      });
    });
  } finally {
    await handle?.close();
  }
}

/** A path to the folder's lock that fits a socket address; `handle` must stay open while it is used. */
async function socketAddress(
  folder: string,
): Promise<{ readonly address: string; readonly handle?: FileHandle }> {
  const direct = join(folder, lockName);
  if (Buffer.byteLength(direct) <= maxSocketPath) return { address: direct };
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { address: `/proc/self/fd/${String(handle.fd)}/${lockName}`, handle };
}

async function holdFlock(path: string): Promise<Unlock> {
  const { flock } = await loadSyscalls();
  const handle = await open(path, "wx", 0o600);
  await flock(handle.fd, { exclusive: true, nonBlocking: true });
  return async () => handle.close();
}

async function probeFlock(path: string): Promise<"alive" | "dead"> {
  const { flock } = await loadSyscalls();
  const handle = await open(path, "r");
  try {
    const idle = await flock(handle.fd, { exclusive: false, nonBlocking: true });
    return idle ? "dead" : "alive";
  } finally {
    await handle.close();
  }
}
