import { constants } from "node:fs";
import { open } from "node:fs/promises";
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

  /** `write` as `syncFilesystem` does it. */
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
        // What could not even begin (no free descriptor) has lost nothing: `finish` begins again.
        if (isTsbuildError(error)) this.#failure ??= { error };
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

  /** Everything that was written before the call outlives a power cut when this is over. */
  async finish(): Promise<void> {
    await this.settle();
    await this.#write();
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** Everything in the filesystem of directory `root` that is only in memory yet goes to the disk. */
export async function syncFilesystem(root: string): Promise<void> {
  const { syncfs } = await loadSyscalls();
  const handle = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncfs(handle.fd);
  } finally {
    await handle.close();
  }
}
