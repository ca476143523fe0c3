import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Argv } from "../engines/engine.ts";
import type { Goal } from "../report/goals.ts";
import type { ContestantResult, RowResult } from "../report/results.ts";
import { median } from "../report/statistics.ts";
import { type BenchRow, type Contestant, RowSkipped } from "../rows/row.ts";
import type { Workspace } from "../workspace.ts";
import { Holder, HoldLost } from "./hold.ts";
import { memoryProbe } from "./memory-probe.ts";
import { CommandFailed, type Cost, execute, runCommand } from "./run-command.ts";

/** Up to 200,000 files, and for files of any size. */
const memoryGoal: Goal = { of: "memory", atMost: 200e6 };

export interface MeasureOptions {
  readonly workspace: Workspace;
  /** Turns that count. */
  readonly runs: number;
  /** Put before a waiting command while turns last. @see Holder */
  readonly hold: Argv;
}

interface Runner {
  readonly name: ContestantResult["name"];
  readonly contestant: Contestant;
  readonly costs: Cost[];
  peakBytes: number;
  /** Why it takes no further turn. */
  refused?: string;
}

/** Measures one row; what goes wrong in it is its result. @throws when it is aborted */
export async function measureRow(row: BenchRow, options: MeasureOptions): Promise<RowResult> {
  const { name, what } = row;
  try {
    return await measure(row, options);
  } catch (error) {
    options.workspace.signal.throwIfAborted();
    if (error instanceof RowSkipped) return { kind: "skipped", name, what, why: error.message };
    if (!(error instanceof CommandFailed || error instanceof HoldLost)) throw error;
    return { kind: "failed", name, what, why: error.message };
  }
}

async function measure(row: BenchRow, options: MeasureOptions): Promise<RowResult> {
  const prepared = await row.prepare(options.workspace);
  const engines = options.workspace.engines.filter(
    ({ name }) => name === "tsbuild" || row.peers !== false,
  );
  const runners: Runner[] = engines.flatMap((engine) => {
    const contestant = prepared.contestant(engine);
    return contestant ? [{ name: engine.name, contestant, costs: [], peakBytes: 0 }] : [];
  });
  runners.push({ name: "floor", contestant: prepared.floor, costs: [], peakBytes: 0 });
  const first = row.warmUp === false ? 0 : -1;
  const probe = join(options.workspace.directory, "memory-probe.cjs");
  await writeFile(probe, memoryProbe);
  // In turns, so that a machine that slows down slows all of them.
  const holder = new Holder(options.hold, options.workspace.signal);
  try {
    for (let turn = first; turn < options.runs; turn++) {
      const isProbed = turn === first;
      await takeTurn(runners, {
        ...options,
        holder,
        ...(isProbed && { probe }),
        counts: turn >= 0,
      });
    }
  } finally {
    await holder.release();
  }
  return {
    kind: "measured",
    name: row.name,
    what: row.what,
    floorIs: prepared.floor.what,
    date: new Date().toISOString().slice(0, 16),
    ...(row.units !== undefined && { units: row.units }),
    goals: [...row.goals, memoryGoal],
    contestants: runners.filter(({ refused }) => refused === undefined).map(resultOf),
    refused: runners.flatMap(({ name, refused }) =>
      refused === undefined || name === "floor" ? [] : [{ name, why: refused }],
    ),
  };
}

type TurnOptions = MeasureOptions & {
  /** The module that tells tsbuild's memory, in the turn that measures it. */
  readonly probe?: string;
  readonly counts: boolean;
  readonly holder: Holder;
};

async function takeTurn(runners: readonly Runner[], options: TurnOptions): Promise<void> {
  for (const runner of runners) {
    if (runner.refused !== undefined) continue;
    // What only warms up disturbs nobody by being slow.
    if (options.counts) await options.holder.ensure();
    try {
      await runOnce(runner, options);
    } catch (error) {
      // A peer that cannot do this job leaves the row; without tsbuild or the floor there is none.
      const isPeer = runner.name !== "tsbuild" && runner.name !== "floor";
      if (!isPeer || !(error instanceof CommandFailed)) throw error;
      runner.refused = error.message;
    }
  }
}

async function runOnce(runner: Runner, { workspace, probe, counts }: TurnOptions): Promise<void> {
  const { directory: folder, signal } = workspace;
  await runner.contestant.reset?.();
  await execute(["sync"], signal);
  const isProbed = probe !== undefined && runner.name === "tsbuild";
  const argv = runner.contestant.command();
  const cost = await runCommand(argv, { folder, signal, ...(isProbed && { probe }) });
  if (counts) runner.costs.push(cost);
  // The probe tells of tsbuild alone; without it the largest may be a step's process.
  if (isProbed || runner.name !== "tsbuild") {
    runner.peakBytes = Math.max(runner.peakBytes, cost.peakBytes);
  }
}

function resultOf({ name, costs, peakBytes }: Runner): ContestantResult {
  const turns = costs.map(({ seconds }) => Number(seconds.toFixed(4)));
  return {
    name,
    seconds: median(turns),
    turns,
    cpuSeconds: Number(median(costs.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2)),
    ...(name !== "docker" && { peakBytes }),
  };
}
