import { readdirSync } from "node:fs";
import { setImmediate as breathe, setTimeout as pause } from "node:timers/promises";
import type { FileStat, Syscalls } from "../core/index.ts";
import { isDirectory, type LayerDirectory, locate, statOf } from "./disk.ts";

/**
 * Every node of a tree as it was before a process ran in it. A node whose inode and time of change are the same is the
 * same, content and all: nobody can set that time, and whatever changes a node sets it.
 */
export class TreeRecord {
  /** Inode and time of change as one number, by path. */
  readonly #nodes = new Map<string, bigint>();
  /** The latest time of change. */
  #newest = 0n;
  /** How many names of each file with several were not met. */
  readonly #names = new Map<bigint, number>();

  /** Resolves when changes to the tree are sure to be noticed. `scratch` is a node on the same filesystem to try it on. */
  static async take(place: {
    readonly kernel: Syscalls;
    readonly directory: LayerDirectory;
    readonly scratch: string;
  }): Promise<TreeRecord> {
    const record = new TreeRecord();
    await record.#visit(place);
    await record.#waitForClock(place);
    return record;
  }

  isUntouched(path: Buffer, stat: FileStat): boolean {
    return this.#nodes.get(path.toString("latin1")) === mark(stat);
  }

  /** `path` counts as touched from now on. */
  forget(path: Buffer): void {
    this.#nodes.delete(path.toString("latin1"));
  }

  /** Whether files have names outside of the tree: a process that writes to one of them would change another tree. */
  get isShared(): boolean {
    return [...this.#names.values()].some((missing) => missing !== 0);
  }

  async #visit(place: {
    readonly kernel: Syscalls;
    readonly directory: LayerDirectory;
  }): Promise<void> {
    const { kernel, directory } = place;
    const pending = [""];
    let visited = 0;
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const absolute = locate(directory, Buffer.from(path, "latin1"));
      this.#add(path, statOf(kernel, absolute));
      for (const entry of readdirSync(absolute, { encoding: "latin1", withFileTypes: true })) {
        const child = path === "" ? entry.name : `${path}/${entry.name}`;
        if (entry.isDirectory()) pending.push(child);
        else this.#add(child, statOf(kernel, locate(directory, Buffer.from(child, "latin1"))));
        if (++visited % 1024 === 0) await breathe();
      }
    }
  }

  #add(path: string, stat: FileStat | undefined): void {
    if (stat === undefined) return;
    this.#nodes.set(path, mark(stat));
    if (stat.ctimeNs > this.#newest) this.#newest = stat.ctimeNs;
    if (isDirectory(stat) || stat.nlink === 1) return;
    this.#names.set(stat.ino, (this.#names.get(stat.ino) ?? stat.nlink) - 1);
  }

  /** The kernel's clock for files ticks every few milliseconds; a change within the same tick would not be seen. */
  async #waitForClock({ kernel, scratch }: { kernel: Syscalls; scratch: string }): Promise<void> {
    for (;;) {
      kernel.utimens(scratch, { mtime: 0n });
      const now = statOf(kernel, Buffer.from(scratch))?.ctimeNs;
      if (now === undefined || now > this.#newest) return;
      await pause(1);
    }
  }
}

function mark(stat: FileStat): bigint {
  return (stat.ctimeNs << 64n) | stat.ino;
}
