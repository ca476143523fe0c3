import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeTree } from "../../src/core/index.ts";
import { expectedOf, faultsOf, sampleFaults, tryFault } from "./inject-loop.ts";
import { killLoop, type KillReport } from "./kills.ts";
import { makeBench, scenarios, type Bench } from "./scenarios.ts";
import { soak, type SoakReport } from "./soak.ts";

/**
 * `npm run crash -- --inject 20 [--only copy,run]`: so many faults at system calls of each scenario;
 * `--kills 200`: so many kills at random moments; `--soak 10`: so many minutes of several processes at once, with kills.
 * `--seed S` for another choice, `--minutes M` for an end before.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inject: { type: "string" },
      kills: { type: "string" },
      soak: { type: "string" },
      only: { type: "string" },
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "1000" },
    },
  });
  const seed = Number(values.seed);
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-crash-"));
  try {
    const bench = await makeBench(folder);
    if (values.inject !== undefined) {
      const until = Date.now() + Number(values.minutes) * 60_000;
      await injectAll(bench, { count: Number(values.inject), seed, until, only: values.only });
    }
    if (values.kills !== undefined) {
      const until = Date.now() + Number(values.minutes) * 60_000;
      tell(await killLoop(bench, { kills: Number(values.kills), seed, until }));
    }
    if (values.soak !== undefined) tell(await soak(bench, { minutes: Number(values.soak), seed }));
  } finally {
    await removeTree(folder);
  }
}

function tell({ defects, ...counts }: KillReport | SoakReport): void {
  console.log(JSON.stringify(counts));
  for (const defect of defects) console.log(`  ${defect}`);
  if (defects.length > 0) process.exitCode = 1;
}

async function injectAll(
  bench: Bench,
  options: {
    readonly count: number;
    readonly seed: number;
    readonly until: number;
    readonly only: string | undefined;
  },
): Promise<void> {
  const { count, seed, until, only } = options;
  for (const scenario of scenarios) {
    if (only !== undefined && !only.split(",").includes(scenario.name)) continue;
    const expected = await expectedOf(bench, scenario);
    const all = await faultsOf(bench, scenario);
    const tally = { failed: 0, succeeded: 0, killed: 0, missed: 0 };
    for (const fault of sampleFaults(all, { count, seed })) {
      if (Date.now() > until) break;
      const { hit, outcome, defects, stderr } = await tryFault(bench, {
        scenario,
        fault,
        expected,
      });
      tally[outcome] += 1;
      tally.missed += hit === undefined ? 1 : 0;
      if (defects.length === 0) continue;
      process.exitCode = 1;
      const { call, nth, answer } = fault;
      console.log(
        `${scenario.name}: ${call} ${String(nth)} ${answer} (${outcome}): ${hit ?? "missed"}`,
      );
      for (const defect of defects) console.log(`    ${defect}`);
      if (outcome === "failed") console.log(stderr.replaceAll(/^/gm, "    | "));
    }
    console.log(`${scenario.name}: ${String(all.length)} places, ${JSON.stringify(tally)}`);
  }
}

await main();
