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

  /** A file of so many bytes was written. */
  wrote(bytes: number): void {
    this.#waiting += bytes + fileSize;
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
