import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Goal } from "../report/goals.ts";
import type { ContestantResult, RowResult } from "../report/results.ts";
import { median } from "../report/statistics.ts";
import { type BenchRow, type Contestant, RowSkipped } from "../rows/row.ts";
import type { Workspace } from "../workspace.ts";
import { type Holder, HoldLost } from "./hold.ts";
import { memoryProbe } from "./memory-probe.ts";
import { CommandFailed, type Cost, execute, runCommand } from "./run-command.ts";

/** Up to 200,000 files, and for files of any size. */
const memoryGoal: Goal = { of: "memory", atMost: 200e6 };

export interface MeasureOptions {
  readonly workspace: Workspace;
  /** Turns that count. */
  readonly runs: number;
  readonly holder: Holder;
}

interface Runner {
  readonly name: ContestantResult["name"];
  readonly contestant: Contestant;
  readonly costs: Cost[];
  peakBytes: number;
  /** The most of all turns. */
  sentBytes?: number;
  /** Why it takes no further turn. */
  refused?: string;
}

/** A row that only has to be measured. */
export interface ReadyRow {
  readonly kind: "ready";
  readonly row: BenchRow;
  readonly floorIs: string;
  readonly runners: readonly Runner[];
  /** The module that tells tsbuild's memory, when no turn has been probed yet. */
  readonly probe?: string;
}

/** Makes a row's input and lets everybody warm up; what goes wrong is a result. @throws when it is aborted */
export async function readyRow(row: BenchRow, workspace: Workspace): Promise<ReadyRow | RowResult> {
  return orUnmeasured({ row, workspace }, async () => {
    const prepared = await row.prepare(workspace);
    const engines = workspace.engines.filter(
      ({ name }) => name === "tsbuild" || row.peers !== false,
    );
    const runners: Runner[] = engines.flatMap((engine) => {
      const contestant = prepared.contestant(engine);
      return contestant ? [{ name: engine.name, contestant, costs: [], peakBytes: 0 }] : [];
    });
    runners.push({ name: "floor", contestant: prepared.floor, costs: [], peakBytes: 0 });
    const probe = join(workspace.directory, "memory-probe.cjs");
    await writeFile(probe, memoryProbe);
    const ready = { kind: "ready", row, floorIs: prepared.floor.what, runners } as const;
    if (row.warmUp === false) return { ...ready, probe };
    await takeTurn(runners, { workspace, probe });
    for (const runner of runners) {
      runner.costs.pop();
      delete runner.sentBytes;
    }
    return ready;
  });
}

/** Measures one row; what goes wrong in it is its result. @throws when it is aborted */
export async function measureRow(
  { row, runners, floorIs, probe }: ReadyRow,
  options: MeasureOptions,
): Promise<RowResult> {
  const { workspace, runs, holder } = options;
  return orUnmeasured({ row, workspace }, async () => {
    // In turns, so that a machine that slows down slows all of them.
    for (let turn = 0; turn < runs; turn++) {
      const probing = turn === 0 && probe !== undefined ? { probe } : {};
      await takeTurn(runners, { workspace, holder, ...probing });
    }
    return {
      kind: "measured",
      name: row.name,
      what: row.what,
      floorIs,
      date: new Date().toISOString().slice(0, 16),
      ...(row.units !== undefined && { units: row.units }),
      goals: row.goals.some(({ of }) => of === "memory") ? row.goals : [...row.goals, memoryGoal],
      contestants: runners.filter(({ refused }) => refused === undefined).map(resultOf),
      refused: runners.flatMap(({ name, refused }) =>
        refused === undefined || name === "floor" ? [] : [{ name, why: refused }],
      ),
    };
  });
}

async function orUnmeasured<Done>(
  { row, workspace }: { readonly row: BenchRow; readonly workspace: Workspace },
  work: () => Promise<Done>,
): Promise<Done | RowResult> {
  const { name, what } = row;
  try {
    return await work();
  } catch (error) {
    workspace.signal.throwIfAborted();
    if (error instanceof RowSkipped) return { kind: "skipped", name, what, why: error.message };
    if (!(error instanceof CommandFailed || error instanceof HoldLost)) throw error;
    return { kind: "failed", name, what, why: error.message };
  }
}

interface TurnOptions {
  readonly workspace: Workspace;
  readonly probe?: string;
  /** Absent: others may work meanwhile. */
  readonly holder?: Holder;
}

async function takeTurn(runners: readonly Runner[], options: TurnOptions): Promise<void> {
  for (const runner of runners) {
    if (runner.refused !== undefined) continue;
    await options.holder?.ensure();
    try {
      await runOnce(runner, options);
      options.holder?.confirm();
    } catch (error) {
      // A peer that cannot do this job leaves the row; without tsbuild or the floor there is none.
      const isPeer = runner.name !== "tsbuild" && runner.name !== "floor";
      if (!isPeer || !(error instanceof CommandFailed)) throw error;
      runner.refused = error.message;
    }
  }
}

async function runOnce(runner: Runner, { workspace, probe }: TurnOptions): Promise<void> {
  const { directory: folder, signal } = workspace;
  await runner.contestant.reset?.();
  await execute(["sync"], signal);
  runner.contestant.sent?.();
  const isProbed = probe !== undefined && runner.name === "tsbuild";
  const argv = runner.contestant.command();
  const cost = await runCommand(argv, { folder, signal, ...(isProbed && { probe }) });
  runner.costs.push(cost);
  const sent = runner.contestant.sent?.();
  if (sent !== undefined) runner.sentBytes = Math.max(runner.sentBytes ?? 0, sent);
  // The probe tells of tsbuild alone; without it the largest may be a step's process.
  if (isProbed || runner.name !== "tsbuild") {
    runner.peakBytes = Math.max(runner.peakBytes, cost.peakBytes);
  }
}

function resultOf({ name, costs, peakBytes, sentBytes }: Runner): ContestantResult {
  const turns = costs.map(({ seconds }) => Number(seconds.toFixed(4)));
  return {
    name,
    seconds: median(turns),
    turns,
    cpuSeconds: Number(median(costs.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2)),
    ...(name !== "docker" && { peakBytes }),
    ...(sentBytes !== undefined && { sentBytes }),
  };
}
