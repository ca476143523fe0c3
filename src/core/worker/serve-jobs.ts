import { createRequire } from "node:module";
import type * as threads from "node:worker_threads";
import { jobAt, readyAt, type Order } from "./order.ts";

/**
 * The other end of a `JobThread`: does its jobs with `run` until the thread is ended. When `run` throws, that ends the
 * thread, and whoever posted jobs finds them undone.
 */
export function serveJobs(run: (job: object) => void): void {
  // Loaded here: the file is a part of the library, which has no other use for it at its start.
  const { parentPort, workerData } = createRequire(import.meta.url)(
    "node:worker_threads",
  ) as typeof threads;
  const state = workerData as Int32Array;
  parentPort?.on("message", ({ number, job }: Order) => {
    try {
      run(job);
    } finally {
      Atomics.store(state, jobAt, number);
      Atomics.notify(state, jobAt);
    }
  });
  Atomics.store(state, readyAt, 1);
}
