import { statfsSync } from "node:fs";
import type { Store } from "../store/index.ts";

/** Bytes that are handed to the disk at a time. */
const partSize = 32 * 1024 * 1024;
/** What a file takes on a disk beside its content: a name, an inode, the rest of its last block. */
const fileSize = 4096;
/** What is less is left to the sync at the end. */
const leastAtEnd = 1024 * 1024;

/**
 * Lets the disk begin with what a step has written while it writes more: otherwise the sync at the end of the build waits
 * for all of it.
 */
export class EarlySync {
  readonly #store: Pick<Store, "beginSync">;
  #waiting = 0;

  constructor(store: Pick<Store, "beginSync">) {
    this.#store = store;
  }

  /** Files of so many bytes together were written: one, unless told otherwise. */
  wrote(bytes: number, files = 1): void {
    this.#waiting += bytes + files * fileSize;
    if (this.#waiting >= partSize) this.#begin();
  }

  /** All files were written. */
  end(): void {
    if (this.#waiting >= leastAtEnd) this.#begin();
  }

  #begin(): void {
    this.#waiting = 0;
    this.#store.beginSync();
  }
}

/** A command may make files for minutes; what it removes again within this time, in milliseconds, is not written. */
const lookMs = 1000;

/**
 * The same beside a command, whose writing nobody tells of: the filesystem says how much it holds. That may be somebody else's
 * doing, and then a sync has less to do.
 */
export class SyncBeside {
  readonly #store: Pick<Store, "beginSync" | "tmpDir">;
  readonly #use: () => number | undefined;
  readonly #timer: NodeJS.Timeout;
  #written: number | undefined;

  /** `use`: bytes that the filesystem holds; undefined where it does not tell. That of the store's unless given. */
  constructor(
    store: Pick<Store, "beginSync" | "tmpDir">,
    use: () => number | undefined = () => usedBytes(store.tmpDir),
  ) {
    this.#store = store;
    this.#use = use;
    this.#written = use();
    this.#timer = setInterval(() => {
      this.look();
    }, lookMs);
  }

  /** Begins to write what has come, when it is worth it. */
  look(): void {
    const now = this.#use();
    if (now === undefined) return;
    const written = Math.min(this.#written ?? now, now);
    const isWorthIt = now - written >= partSize;
    this.#written = isWorthIt ? now : written;
    if (isWorthIt) this.#store.beginSync();
  }

  /** Looks no more. */
  stop(): void {
    clearInterval(this.#timer);
  }
}

function usedBytes(directory: string): number | undefined {
  try {
    const { bsize, blocks, bfree } = statfsSync(directory);
    return bsize * (blocks - bfree);
  } catch {
    return undefined;
  }
}
