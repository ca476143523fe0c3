import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isMainThread, Worker } from "node:worker_threads";
import { visible } from "./check-dockerfile.ts";
import { inputOf, readCorpus } from "./inputs.ts";
import { runWorker, type FuzzMessage, type FuzzOrder } from "./worker.ts";

/**
 * `npm run fuzz -- --minutes 10 [--seed N]`: looks for texts that the Dockerfile parser cannot stand, see
 * check-dockerfile.ts. What it finds is made small and written to fixtures/dockerfiles/fuzz-<seed>/: give that folder
 * the name of what it shows, mend the parser, and record the golden case.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "1" }, seed: { type: "string" } },
  });
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  const fixtures = resolve("fixtures");
  const until = Date.now() + Number(values.minutes) * 60_000;
  console.log(`seed ${String(seed)}, ${values.minutes} minutes`);
  const found = await watch({ fixtures, seed, until });
  process.exitCode = found === 0 ? 0 : 1;
}

/** Seconds without any sign of life after which the worker counts as hanging. */
const patience = 60;

function watch(order: FuzzOrder): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: order });
  let found = 0;
  let last = order.seed;
  return new Promise((done, fail) => {
    const hanging = (): void => {
      report(order, {
        input: inputOf(last, readCorpus(order.fixtures)),
        seed: last,
        why: "it hangs, or one of the 63 seeds behind it does",
      });
      void worker.terminate();
      done(found + 1);
    };
    let timer = setTimeout(hanging, patience * 1000);
    worker.on("error", fail);
    worker.on("message", (message: FuzzMessage) => {
      clearTimeout(timer);
      if (message.type === "end") {
        console.log(JSON.stringify(message.counts));
        done(found);
        return;
      }
      timer = setTimeout(hanging, patience * 1000);
      last = message.seed;
      if (message.type === "begin") return;
      found++;
      report(order, message);
    });
  });
}

function report(
  { fixtures }: FuzzOrder,
  { seed, input, why }: { readonly seed: number; readonly input: string; readonly why: string },
): void {
  const folder = join(fixtures, "dockerfiles", `fuzz-${String(seed)}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "Dockerfile"), input);
  console.log(`seed ${String(seed)}: ${why}\n  ${visible(input)}\n  ${folder}`);
}

if (isMainThread) await main();
else await runWorker();
