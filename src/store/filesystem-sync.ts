import { closeSync, constants, openSync } from "node:fs";
import { isTsbuildError, loadSyscalls } from "../core/index.ts";

/**
 * Writes a filesystem to the disk. Whoever has much to write begins early: then the disk works while files are still
 * being made, and the last call finds little to do.
 */
export class FilesystemSync {
  readonly #write: () => Promise<void>;
  #underWay: Promise<void> | undefined;
  /** Somebody has begun once more meanwhile. */
  #isAgain = false;
  /** The kernel tells a failed write once: whoever begins a sync keeps it for whoever finishes. */
  #failure: { readonly error: unknown } | undefined;
  /** A `finish` that has not begun. */
  #asked: Promise<void> | undefined;

  /** `write` as `OpenFilesystem` has it. */
  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  /** Begins to write what is there, and waits for nothing. While that is under way, once more when it is over. */
  begin(): void {
    if (this.#underWay !== undefined) {
      this.#isAgain = true;
      return;
    }
    this.#underWay = this.#write()
      .catch((error: unknown) => {
        // What could not even begin has lost nothing: `finish` begins again.
        const hasBegun = isTsbuildError(error) && error.code !== "SYSCALLS_UNAVAILABLE";
        if (hasBegun) this.#failure ??= { error };
      })
      .finally(() => {
        this.#underWay = undefined;
        if (!this.#isAgain) return;
        this.#isAgain = false;
        this.begin();
      });
  }

  /** Waits for what was begun: afterwards nothing holds the filesystem any more. */
  async settle(): Promise<void> {
    this.#isAgain = false;
    await this.#underWay;
  }

  /** Whether something that was begun has failed; waits for it. */
  async hasFailed(): Promise<boolean> {
    await this.settle();
    return this.#failure !== undefined;
  }

  /** Everything that was written before the call outlives a power cut when this is over. */
  async finish(): Promise<void> {
    return (this.#asked ??= this.#finishSoon());
  }

  /** `finish`, while somebody has asked for it and it has not begun: for whoever has little to add to what it writes. */
  get shared(): (() => Promise<void>) | undefined {
    return this.#asked === undefined ? undefined : () => this.finish();
  }

  /** In the next turn, so that whoever is about to ask for one, too, shares this one. */
  async #finishSoon(): Promise<void> {
    // It covers what another beginning would.
    this.#isAgain = false;
    await new Promise((resolve) => setImmediate(resolve));
    await this.settle();
    this.#asked = undefined;
    await this.#write();
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** A filesystem that is held open, so that it tells of every write that fails from now on. */
export interface OpenFilesystem {
  /** Everything that is only in memory yet goes to the disk. @throws SYSCALL_FAILED, DISK_FULL */
  write(): Promise<void>;
  close(): void;
}

/**
 * The filesystem of directory `root`. The kernel tells of a failed write once to everybody who had the filesystem open by
 * then, and to nobody who opens it after somebody heard.
 */
export function openFilesystem(root: string): OpenFilesystem {
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    write: async () => (await loadSyscalls()).syncfs(fd),
    close: () => {
      closeSync(fd);
    },
  };
}
