import type { Digest, JobThread } from "../../core/index.ts";
import type { LayerEntryWithContent } from "../types.ts";
import { hashedAt, type HashJob, type HashResults, stopAt } from "./hash-job.ts";
import { formatHeader } from "./write-header.ts";

/** A part goes to the thread when it has so many bytes of headers, or of contents. */
const partOfHeaders = 64 * 1024;
const partOfContents = 4 * 1024 * 1024;
/** So many parts may wait for the thread: some 2 MB. */
const ahead = 16;

/**
 * Digest and size of the tar that `layerTarChunks` would write of the same entries: this thread walks and makes the headers,
 * `thread`, which was started, reads the files and hashes. Each file has a `place`.
 *
 * undefined when the thread left something undone: then it is to be done in the usual way, which also tells what is wrong.
 * That is so, too, when `signal` is aborted while the thread is waited for.
 * @throws what `takeTurn` throws, which is called again and again, and waited for where it gives a promise
 */
export async function hashElsewhere(
  entries: Iterable<LayerEntryWithContent>,
  options: {
    readonly thread: JobThread;
    readonly signal?: AbortSignal | undefined;
    readonly takeTurn: () => Promise<void> | undefined;
  },
): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
  const tar = new PostedTar(options.thread);
  const stop = (): void => {
    tar.stop();
  };
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    for (const entry of entries) {
      if (tar.isFull && !(await tar.post())) return undefined;
      const turn = options.takeTurn();
      if (turn !== undefined) await turn;
      tar.add(entry);
    }
    return await tar.finish();
  } finally {
    options.signal?.removeEventListener("abort", stop);
    tar.stop();
  }
}

class PostedTar {
  readonly #thread: JobThread;
  readonly #results: HashResults = {
    state: new Int32Array(new SharedArrayBuffer(8)),
    size: new Float64Array(new SharedArrayBuffer(8)),
    digest: new Uint8Array(new SharedArrayBuffer(digestLength)),
  };
  readonly #jobs: number[] = [];
  #headers: Buffer[] = [];
  #headersSize = 0;
  #contentsSize = 0;
  #paths: string[] = [];
  #places: number[] = [];

  constructor(thread: JobThread) {
    this.#thread = thread;
  }

  get isFull(): boolean {
    return this.#headersSize >= partOfHeaders || this.#contentsSize >= partOfContents;
  }

  add(entry: LayerEntryWithContent): void {
    const header = formatHeader(entry);
    this.#headers.push(header);
    this.#headersSize += header.length;
    if (entry.type !== "file" || entry.size === 0) return;
    if (entry.place === undefined) throw new Error("this file has no place");
    this.#paths.push(entry.place.toString("latin1"));
    this.#places.push(this.#headersSize, entry.size);
    this.#contentsSize += entry.size;
  }

  /** Hands over what was added; false when something before it was left undone. */
  async post(isLast = false): Promise<boolean> {
    const job: HashJob = {
      ...{ kind: "hash", part: this.#jobs.length, isLast, results: this.#results },
      headers: Buffer.concat(this.#headers),
      paths: this.#paths.join("\0"),
      places: Float64Array.from(this.#places),
    };
    [this.#headers, this.#headersSize, this.#contentsSize] = [[], 0, 0];
    [this.#paths, this.#places] = [[], []];
    this.#jobs.push(this.#thread.post(job));
    return this.#isDone(isLast ? job.part : job.part - ahead);
  }

  async finish(): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
    if (!(await this.post(true))) return undefined;
    const { digest, size } = this.#results;
    return { digest: Buffer.from(digest).toString("latin1") as Digest, size: size[0] ?? 0 };
  }

  /** What the thread has in hand is of no use any more. */
  stop(): void {
    Atomics.store(this.#results.state, stopAt, 1);
  }

  async #isDone(part: number): Promise<boolean> {
    const job = this.#jobs[part];
    if (job === undefined) return true;
    await this.#thread.over(job);
    return Atomics.load(this.#results.state, hashedAt) > part;
  }
}

const digestLength = "sha256:".length + 64;
