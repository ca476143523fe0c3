import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { removeTree } from "../../src/core/index.ts";
import { expectCli, startCli } from "../support/cli.ts";
import { waitForNothingLeft } from "../support/setup-leftovers.ts";
import { brokenInvariants } from "./invariants.ts";
import { pseudoRandom } from "../support/random.ts";
import { fingerprint, freshPlace, scenarios, type Bench, type Scenario } from "./scenarios.ts";

export interface KillReport {
  /** Kills that came before the command had ended, by scenario. */
  readonly hits: Readonly<Record<string, number>>;
  readonly rounds: number;
  readonly defects: readonly string[];
}

const victims = [
  ...["copy", "run", "run-chroot", "unpack", "load", "save", "export-directory", "pull", "push"],
  ...["add-url", "prune"],
];

/**
 * Kills commands with all their children at random moments, one after the other on one store, until `kills` have come in
 * time. After each the store must be true; at the end it must do everything as a fresh one does.
 */
export async function killLoop(
  bench: Bench,
  options: { readonly kills: number; readonly seed: number; readonly until?: number },
): Promise<KillReport> {
  const { kills, seed, until = Infinity } = options;
  const random = pseudoRandom(seed);
  const place = await freshPlace(bench, { isPrepared: true }, "kills");
  const durations = await measureAll(bench);
  const hits: Record<string, number> = {};
  const defects: string[] = [];
  let rounds = 0;
  for (let done = 0; done < kills && Date.now() < until; rounds++) {
    const name = victims[Math.floor(random() * victims.length)] ?? "copy";
    const moment = random() * 1.05 * (durations.get(name) ?? 0);
    const isHit = await killOnce(bench, { name, moment, round: rounds, ...place });
    if (isHit) hits[name] = (hits[name] ?? 0) + 1;
    done += isHit ? 1 : 0;
    for (const broken of await brokenInvariants(place.root)) {
      defects.push(`round ${String(rounds)}, ${name} at ${moment.toFixed(0)} ms: ${broken}`);
    }
    if (defects.length > 10) break;
  }
  defects.push(...(await differences(bench, place)));
  defects.push(...(await waitForNothingLeft(place.root)));
  return { hits, rounds, defects };
}

function scenarioOf(name: string): Scenario {
  const scenario = scenarios.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  return scenario;
}

/** How long each takes here when nobody kills it, in milliseconds. */
async function measureAll(bench: Bench): Promise<ReadonlyMap<string, number>> {
  const durations = new Map<string, number>();
  for (const name of victims) {
    const scenario = scenarioOf(name);
    const { root, out } = await freshPlace(bench, scenario, `measure-${name}`);
    const started = performance.now();
    await expectCli(scenario.args({ bench, out }), { root });
    durations.set(name, performance.now() - started);
  }
  return durations;
}

async function killOnce(
  bench: Bench,
  victim: {
    readonly name: string;
    readonly moment: number;
    readonly round: number;
    readonly root: string;
    readonly out: string;
  },
): Promise<boolean> {
  const { name, moment, round, root, out } = victim;
  const scenario = scenarioOf(name);
  // What a prune has removed comes back, over whatever its kill left.
  if (scenario.isPrepared && name !== "prune") {
    await expectCli(["load", "-i", bench.archive], { root });
  }
  if (name === "pull") await expectCli(["system", "prune", "--all"], { root });
  // So that something is to do each time.
  await writeFile(join(bench.contexts, "copy/tree/d/small"), `round ${String(round)}`);
  const fresh = ["run", "run-chroot", "unpack", "add-url"].includes(name) ? ["--no-cache"] : [];
  const running = startCli([...scenario.args({ bench, out }), ...fresh], { root });
  const ended = new AbortController();
  const isOver = running.done.then(() => ended.abort());
  await sleep(moment, undefined, { signal: ended.signal }).catch(() => undefined);
  try {
    process.kill(-(running.process.pid ?? 0), "SIGKILL");
  } catch {
    // It had ended.
  }
  await isOver;
  return (await running.done).code === 137;
}

/** What this store does otherwise than a fresh one. */
async function differences(
  bench: Bench,
  { root, out }: { readonly root: string; readonly out: string },
): Promise<readonly string[]> {
  await writeFile(join(bench.contexts, "copy/tree/d/small"), "small");
  const fresh = await freshPlace(bench, { isPrepared: false }, "fresh");
  await removeTree(out);
  await mkdir(out);
  await expectCli(["system", "prune", "--all"], { root });
  const different: string[] = [];
  const others = victims.filter((name) => !["load", "push", "prune"].includes(name));
  for (const name of ["load", ...others]) {
    const scenario = scenarioOf(name);
    for (const place of [fresh, { root, out }]) {
      await expectCli(scenario.args({ bench, out: place.out }), { root: place.root });
    }
    const [expected, found] = [
      await fingerprint(fresh.root, fresh.out),
      await fingerprint(root, out),
    ];
    if (expected !== found) different.push(`after ${name}: ${found} instead of ${expected}`);
  }
  different.push(...(await brokenInvariants(root)));
  return different;
}
