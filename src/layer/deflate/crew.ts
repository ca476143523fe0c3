import { availableParallelism } from "node:os";
import type { JobThread } from "../../core/index.ts";
import type { DeflateJob } from "./deflate-job.ts";
import { deflateBlock, longestOutput } from "./encoder.ts";

/** What a thread has in hand and what it does next. */
const postedAtMost = 2;
/** A thread costs 40 ms until it is ready, and 25 MB: as long as so many blocks take this one. */
const worthThread = 4;
/** What does not get shorter takes a tenth of the time, and no thread. */
const isWork = (from: number, to: number): boolean => to < 0.9 * from;

/** A block that is being compressed, or was. */
export interface Begun {
  isOver(): boolean;
  /** Its bytes. To be asked once. */
  finish(): Promise<Buffer>;
}

interface Block {
  readonly bytes: Uint8Array;
  readonly before: number;
}

/** Memory for the result of a thread. */
interface Result {
  readonly output: Uint8Array;
  readonly length: Int32Array;
}

/**
 * Compresses blocks in this thread, and in others as soon as that is worth while. The bytes do not depend on who does it.
 */
export class DeflateCrew {
  readonly #first: JobThread | undefined;
  readonly #members: { readonly thread: JobThread; readonly jobs: number[] }[] = [];
  readonly #free: Result[] = [];
  readonly #most = Math.min(availableParallelism() - 1, 3);
  #doneHere = 0;

  /**
   * With `first`, which belongs to the caller and may have other jobs, too, and more like it where there are more than two
   * cores; without one all is done in this thread.
   */
  constructor(first: JobThread | undefined) {
    this.#first = first;
    if (first !== undefined) this.#members.push({ thread: first, jobs: [] });
  }

  /** So many blocks may be begun, but not finished, before nobody has work any more. */
  get capacity(): number {
    return postedAtMost * this.#members.length + 1;
  }

  begin(block: Block): Begun {
    const member = this.#members.find(({ thread, jobs }) => {
      while (jobs[0] !== undefined && thread.isOver(jobs[0])) jobs.shift();
      return thread.isReady && jobs.length < postedAtMost;
    });
    if (member === undefined) return this.#compressHere(block);
    const result = this.#free.pop() ?? makeResult();
    Atomics.store(result.length, 0, 0);
    const order: DeflateJob = { kind: "deflate", ...block, ...result };
    const job = member.thread.post(order);
    member.jobs.push(job);
    return {
      isOver: () => member.thread.isOver(job),
      finish: async () => {
        await member.thread.over(job);
        const length = Atomics.load(result.length, 0);
        // It may have died.
        if (length === 0) return compress(block);
        const compressed = Buffer.from(result.output.subarray(0, length));
        this.#free.push(result);
        return compressed;
      },
    };
  }

  async close(): Promise<void> {
    for (const { thread } of this.#members) if (thread !== this.#first) await thread.close();
  }

  #compressHere(block: Block): Begun {
    const compressed = compress(block);
    if (isWork(block.bytes.length - block.before, compressed.length)) this.#doneHere += 1;
    if (this.#doneHere >= worthThread) this.#hire();
    return { isOver: () => true, finish: () => Promise.resolve(compressed) };
  }

  /** All that are there have enough to do, or none was started. */
  #hire(): void {
    this.#doneHere = 0;
    const last = this.#members.at(-1)?.thread;
    last?.start();
    if (last?.isReady !== true || this.#members.length >= this.#most) return;
    const thread = last.another();
    thread.start();
    this.#members.push({ thread, jobs: [] });
  }
}

function compress(block: Block): Buffer {
  return Buffer.from(deflateBlock(block));
}

function makeResult(): Result {
  return {
    output: new Uint8Array(new SharedArrayBuffer(longestOutput)),
    length: new Int32Array(new SharedArrayBuffer(4)),
  };
}
