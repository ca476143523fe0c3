import { closeSync, openSync, readdirSync } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAbsence } from "./json-file.ts";
import { probeFolder, type ProcessFolder, tmpEntryKind, unlinkIfThere } from "./process-folder.ts";

type Mark = "shared" | "exclusive";

/** Between two looks at a gc that is running, in milliseconds. */
const pollInterval = 20;

/**
 * A lock with many users or one gc, made of marks: `tmp/<process>/shared` and `tmp/<process>/exclusive`. Whoever enters
 * first sets its mark and then looks for the other kind, so of two that enter at once at least one sees the other. Then
 * gc gives up (it never waits) and users wait for gc: no deadlock. A mark counts only while its process lives, so
 * nothing has to be cleaned up after kill -9.
 */
export class Gate {
  readonly #folder: ProcessFolder;
  readonly #tmp: string;
  #users = 0;
  /** Settles once no other process is exclusive; one wait for all users of this process. */
  #entered: Promise<void> = Promise.resolve();
  /** Settles when this process is no longer exclusive. */
  #exclusive: Promise<void> | undefined;

  constructor(folder: ProcessFolder, tmp: string) {
    this.#folder = folder;
    this.#tmp = tmp;
  }

  /** @throws the reason of `signal` when it is aborted while a gc is waited for */
  async protect<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    while (this.#exclusive !== undefined) await untilAborted(this.#exclusive, signal);
    this.#users += 1;
    try {
      if (this.#users === 1) {
        this.#set("shared");
        this.#entered = this.#waitForGc();
      }
      await untilAborted(this.#entered, signal);
      return await work();
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#clear("shared");
    }
  }

  async tryExclusive<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#users > 0 || this.#exclusive !== undefined) return undefined;
    let leave = (): void => undefined;
    this.#exclusive = new Promise((resolve) => (leave = resolve));
    try {
      this.#set("exclusive");
      if (await this.#isMarkedElsewhere(["shared", "exclusive"])) return undefined;
      return await work();
    } finally {
      this.#clear("exclusive");
      this.#exclusive = undefined;
      leave();
    }
  }

  async #waitForGc(): Promise<void> {
    while (this.#users > 0 && (await this.#isMarkedElsewhere(["exclusive"]))) {
      await sleep(pollInterval);
    }
  }

  async #isMarkedElsewhere(marks: readonly Mark[]): Promise<boolean> {
    for (const name of readdirSync(this.#tmp)) {
      if (name === this.#folder.name || tmpEntryKind(name) !== "process") continue;
      const folder = join(this.#tmp, name);
      for (const mark of marks) {
        if (await isMarked(folder, mark)) return true;
      }
    }
    return false;
  }

  // Synchronous, so that the mark and the count beside it change together.
  #set(mark: Mark): void {
    closeSync(openSync(join(this.#folder.path, mark), "w"));
  }

  #clear(mark: Mark): void {
    unlinkIfThere(join(this.#folder.path, mark));
  }
}

/** In doubt it is; but a folder that is swept between two looks has neither lock nor mark. */
async function isMarked(folder: string, mark: Mark): Promise<boolean> {
  const path = join(folder, mark);
  if (!(await exists(path))) return false;
  const state = await probeFolder(folder);
  return state === "alive" || (state === "unlocked" && (await exists(path)));
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

async function untilAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
