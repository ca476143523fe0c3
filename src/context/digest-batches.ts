import type { JobThread } from "../core/index.ts";
import { type NodeStat, versionsOf } from "../layer/index.ts";
import { type DigestJob, looksLength, resultLength } from "./digest-job.ts";
import type { DigestBytes, StatKey } from "./types.ts";

/** A small file whose digest is to be taken. */
export interface BatchedFile {
  readonly stat: NodeStat;
  /** Absolute, one character a byte. */
  readonly place: string;
  readonly version: StatKey | undefined;
}

/** Files of one job: a hundred of them take a few milliseconds. */
const filesAtOnce = 96;
const bytesAtOnce = 1024 * 1024;
/** Jobs that are waiting or under way; with more of them the last ones would be waited for. */
const jobsAtOnce = 2;

interface Batch<File> {
  readonly files: File[];
  readonly results: Uint8Array;
  readonly job: number;
}

/** Digests that the second thread takes while this one takes others: it always has as much to do as it can begin soon. */
export class DigestBatches<File extends BatchedFile> {
  readonly #thread: JobThread;
  readonly #tell: (file: File, digest: DigestBytes | undefined) => void;
  readonly #posted: Batch<File>[] = [];
  #filling: File[] = [];
  #bytes = 0;

  /** `tell`: told of each file that was taken, in their order; without a digest where this thread has to take it. */
  constructor(thread: JobThread, tell: (file: File, digest: DigestBytes | undefined) => void) {
    this.#thread = thread;
    this.#tell = tell;
  }

  /** Takes a file over, unless the thread has enough to do. */
  take(file: File): boolean {
    if (this.#filling.length === 0) {
      if (!this.#thread.isReady) return false;
      this.#collect();
      if (this.#posted.length >= jobsAtOnce) return false;
    }
    this.#filling.push(file);
    this.#bytes += file.stat.size;
    if (this.#filling.length >= filesAtOnce || this.#bytes >= bytesAtOnce) this.#post();
    return true;
  }

  /** Waits until all files that were taken have been told of. */
  async settle(): Promise<void> {
    if (this.#filling.length > 0) this.#post();
    for (let batch = this.#posted[0]; batch !== undefined; batch = this.#posted[0]) {
      await this.#thread.over(batch.job);
      this.#collect();
    }
  }

  #post(): void {
    const files = this.#filling;
    const results = new Uint8Array(new SharedArrayBuffer(files.length * resultLength));
    this.#posted.push({ files, results, job: this.#thread.post(jobOf(files, results)) });
    this.#filling = [];
    this.#bytes = 0;
  }

  #collect(): void {
    for (let batch = this.#posted[0]; batch !== undefined; batch = this.#posted[0]) {
      if (!this.#thread.isOver(batch.job)) return;
      this.#posted.shift();
      const { files, results } = batch;
      for (const [index, file] of files.entries()) {
        const at = index * resultLength;
        const isTaken = results[at] === 1;
        this.#tell(file, isTaken ? results.subarray(at + 1, at + resultLength) : undefined);
      }
    }
  }
}

function jobOf(files: readonly BatchedFile[], results: Uint8Array): DigestJob {
  const looks = new Float64Array(files.length * looksLength);
  for (const [index, { stat }] of files.entries())
    looks.set([stat.mode, stat.uid, stat.gid, stat.size], index * looksLength);
  const versions = versionsOf(files.flatMap(({ version }) => version ?? []));
  const paths = files.map(({ place }) => place).join("\0");
  return { kind: "digest", paths, looks, versions, results };
}
