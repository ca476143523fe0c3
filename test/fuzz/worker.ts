import { parentPort, workerData } from "node:worker_threads";
import { checkDockerfile } from "./check-dockerfile.ts";
import { inputOf, readCorpus } from "./inputs.ts";
import { shrink } from "./shrink.ts";

export interface FuzzOrder {
  readonly fixtures: string;
  readonly seed: number;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export type FuzzMessage =
  /** Sent before an input is looked at, so that a hang can be blamed on it. */
  | { readonly type: "begin"; readonly seed: number }
  | { readonly type: "failed"; readonly seed: number; readonly input: string; readonly why: string }
  | { readonly type: "end"; readonly counts: Readonly<Record<string, number>> };

/** Milliseconds that one input may take. */
export const longestCheck = 1000;

/** Checks inputs, one seed after the other, and tells the thread that started it. */
export async function runWorker(): Promise<void> {
  const { fixtures, seed: first, until } = workerData as FuzzOrder;
  const corpus = readCorpus(fixtures);
  const counts: Record<string, number> = {};
  for (let seed = first; Date.now() < until; seed++) {
    // A message an input would cost more than most inputs do.
    if (seed % 64 === 0) send({ type: "begin", seed });
    const input = inputOf(seed, corpus);
    const outcome = await outcomeOf(input);
    counts[outcome.kind] = (counts[outcome.kind] ?? 0) + 1;
    if (outcome.kind !== "failed") continue;
    const fails = async (text: string): Promise<boolean> =>
      (await outcomeOf(text)).kind === "failed";
    const shortest = await shrink(input, fails);
    send({ type: "failed", seed, input: shortest, why: (await outcomeOf(shortest)).why });
  }
  send({ type: "end", counts });
}

async function outcomeOf(input: string): Promise<{ readonly kind: string; readonly why: string }> {
  const start = performance.now();
  try {
    const kind = await checkDockerfile(input);
    const took = performance.now() - start;
    if (took <= longestCheck) return { kind, why: "" };
    return { kind: "failed", why: `it took ${took.toFixed(0)} ms` };
  } catch (error) {
    return { kind: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}

function send(message: FuzzMessage): void {
  parentPort?.postMessage(message);
}
