import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { classOf, expectedOf, faultsOf, sampleFaults, tryFault } from "./inject-loop.ts";
import { killLoop, type KillReport } from "./kills.ts";
import { makeBench, scenarios, type Bench } from "./scenarios.ts";
import { canRunShort, shortages, tryShortage } from "./shortages.ts";
import { soak, type SoakReport } from "./soak.ts";

/**
 * `npm run crash -- --inject 20 [--only copy,run]`: so many faults at system calls of each scenario, `--inject each`: one
 * of every class;
 * `--kills 200`: so many kills at random moments; `--soak 10`: so many minutes of several processes at once, with kills;
 * `--short [--only copy]`: a disk that is full, out of inodes or read-only, and a limit of the size of files, at every stage.
 * `--seed S` for another choice, `--minutes M` for an end before.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inject: { type: "string" },
      kills: { type: "string" },
      soak: { type: "string" },
      short: { type: "boolean", default: false },
      only: { type: "string" },
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "1000" },
    },
  });
  const seed = Number(values.seed);
  const bench = await makeBench(await mkdtemp(join(tmpdir(), "tsbuild-crash-")));
  try {
    if (values.inject !== undefined) {
      const until = Date.now() + Number(values.minutes) * 60_000;
      const count = values.inject === "each" ? undefined : Number(values.inject);
      await injectAll(bench, { count, seed, until, only: values.only });
    }
    if (values.short) await runAllShort(bench, values.only);
    if (values.kills !== undefined) {
      const until = Date.now() + Number(values.minutes) * 60_000;
      tell(await killLoop(bench, { kills: Number(values.kills), seed, until }));
    }
    if (values.soak !== undefined) tell(await soak(bench, { minutes: Number(values.soak), seed }));
  } finally {
    await bench.remove();
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
    readonly count: number | undefined;
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
    const hits = new Set<string>();
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
      if (hit !== undefined || outcome === "killed") hits.add(classOf(fault));
      if (defects.length === 0) continue;
      process.exitCode = 1;
      const { call, nth, answer } = fault;
      console.log(
        `${scenario.name}: ${call} ${String(nth)} ${answer} (${outcome}): ${hit ?? "missed"}`,
      );
      for (const defect of defects) console.log(`    ${defect}`);
      if (outcome === "failed") console.log(stderr.replaceAll(/^/gm, "    | "));
    }
    const classes = `${String(hits.size)} of ${String(new Set(all.map(classOf)).size)} classes`;
    console.log(
      `${scenario.name}: ${String(all.length)} faults, ${classes}, ${JSON.stringify(tally)}`,
    );
  }
}

async function runAllShort(bench: Bench, only: string | undefined): Promise<void> {
  for (const scenario of scenarios.filter(canRunShort)) {
    if (only !== undefined && !only.split(",").includes(scenario.name)) continue;
    const expected = await expectedOf(bench, scenario);
    const tally: Record<string, number> = {};
    for (const shortage of shortages) {
      const { outcome, code, defects, stderr } = await tryShortage(bench, {
        ...{ scenario, shortage, expected },
      });
      const key = `${shortage.kind} ${code ?? outcome}`;
      tally[key] = (tally[key] ?? 0) + 1;
      if (defects.length === 0) continue;
      process.exitCode = 1;
      console.log(`${scenario.name}: ${JSON.stringify(shortage)} (${outcome})`);
      for (const defect of defects) console.log(`    ${defect}`);
      if (outcome === "failed") console.log(stderr.replaceAll(/^/gm, "    | "));
    }
    console.log(`${scenario.name}: ${JSON.stringify(tally)}`);
  }
}

await main();
