import { createRequire } from "node:module";
import { setImmediate } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { jobAt, readyAt, type Order } from "./order.ts";

/** So long nobody hears of signals, or that the thread died. */
const waitMs = 10;

/**
 * A second thread: it runs `script`, which calls `serveJobs`. Jobs are done one by one, in the order in which they were
 * posted, and leave their results in shared memory.
 *
 * It promises nothing: it may never start, may die, and leaves what is out of the ordinary undone. Whoever posts a job
 * looks at its results when it is over, and does what is missing in the usual way, which also tells what is wrong.
 *
 * ```ts
 * thread.start();
 * if (thread.isReady) await thread.over(thread.post({ …, results }));
 * await thread.close();
 * ```
 */
export class JobThread {
  readonly #script: string;
  readonly #state = new Int32Array(new SharedArrayBuffer(8));
  #worker: Worker | undefined;
  #isGone = false;
  #posted = 0;

  constructor(script: string) {
    this.#script = script;
  }

  /** One more that runs the same script. */
  another(): JobThread {
    return new JobThread(this.#script);
  }

  /** Starts the thread unless it was started; it is ready some 40 ms later. */
  start(): void {
    if (this.#worker !== undefined || this.#isGone) return;
    const worker = this.#open();
    if (worker === undefined) return;
    // An error is followed by the exit.
    worker.on("error", () => undefined);
    worker.on("exit", () => (this.#isGone = true));
    worker.unref();
    this.#worker = worker;
  }

  /** undefined where there may be no more threads, as in a container with a limit on them. */
  #open(): Worker | undefined {
    const threads = createRequire(import.meta.url)("node:worker_threads") as {
      readonly Worker: typeof Worker;
    };
    try {
      return new threads.Worker(this.#script, {
        workerData: this.#state,
        // Files are opened by calls that Node does not know of.
        trackUnmanagedFds: false,
        // It holds nothing for long; V8 would let it grow before it collects.
        resourceLimits: { maxYoungGenerationSizeMb: 2 },
      });
    } catch {
      this.#isGone = true;
      return undefined;
    }
  }

  /** Whether a job that is posted now will be begun as soon as those before it are over. */
  get isReady(): boolean {
    return !this.#isGone && Atomics.load(this.#state, readyAt) === 1;
  }

  /** Hands a job over, and answers its number. Plain data; what is in shared memory stays shared. */
  post(job: object): number {
    const order: Order = { number: this.#posted + 1, job };
    this.#worker?.postMessage(order);
    this.#posted = order.number;
    return order.number;
  }

  /** Whether nothing of the job is going on any more, and all it did is to be seen. */
  isOver(job: number): boolean {
    return this.#isGone || Atomics.load(this.#state, jobAt) >= job;
  }

  /** Waits for that. */
  async over(job: number): Promise<void> {
    while (!this.isOver(job)) {
      Atomics.wait(this.#state, jobAt, Atomics.load(this.#state, jobAt), waitMs);
      await setImmediate();
    }
  }

  /** Ends the thread as soon as it has done what it was told. */
  async close(): Promise<void> {
    // To end it within a call of koffi's would end the whole process: koffi cannot throw there any more, and gives up.
    if (this.#worker !== undefined) await this.over(this.#posted);
    await this.#worker?.terminate();
    this.#isGone = true;
  }
}
