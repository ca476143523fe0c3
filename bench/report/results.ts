import { readFile, writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import type { EngineName } from "../engines/engine.ts";
import type { Figures, Goal } from "./goals.ts";

/** Medians of one contestant's turns. */
export interface ContestantResult {
  readonly name: EngineName | "floor";
  readonly seconds: number;
  /** Each turn, in order. */
  readonly turns: readonly number[];
  readonly cpuSeconds: number;
  /** Bytes; absent for docker, whose daemon does the work. */
  readonly peakBytes?: number;
  /** The most that one turn sent to a registry, where the row asks for it. */
  readonly sentBytes?: number;
}

export interface MeasuredRow {
  readonly kind: "measured";
  readonly name: string;
  readonly what: string;
  readonly floorIs: string;
  /** ISO 8601, to the minute. */
  readonly date: string;
  readonly units?: number;
  readonly goals: readonly Goal[];
  readonly contestants: readonly ContestantResult[];
  /** Peers that did not do the job, and why. */
  readonly refused: readonly { readonly name: EngineName; readonly why: string }[];
}

export interface UnmeasuredRow {
  readonly kind: "skipped" | "failed";
  readonly name: string;
  readonly what: string;
  readonly why: string;
}

export type RowResult = MeasuredRow | UnmeasuredRow;

/** Everything that a file of results holds. */
export interface Results {
  readonly machine: string;
  /** Name and version of each engine that was there. */
  readonly engines: Readonly<Record<string, string>>;
  readonly rows: readonly RowResult[];
}

export function describeMachine(): string {
  const [cpu] = cpus();
  const cores = `${String(cpus().length)} cores (${cpu?.model.trim() ?? "unknown"})`;
  return `${cores}, Linux ${release()}, Node ${process.versions.node}`;
}

/** Rows that were measured now replace those of the same name; the order is that of `names`. */
export function mergeResults(
  old: Results | undefined,
  now: Results,
  names: readonly string[],
): Results {
  const byName = new Map([...(old?.rows ?? []), ...now.rows].map((row) => [row.name, row]));
  const rows = names.flatMap((name) => byName.get(name) ?? []);
  return { machine: now.machine, engines: { ...old?.engines, ...now.engines }, rows };
}

/** Undefined when the file is not there. */
export async function readResults(path: string): Promise<Results | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export async function writeResults(path: string, results: Results): Promise<void> {
  await writeFile(path, `${JSON.stringify(results, undefined, 1)}\n`);
}

export function figuresOf(row: MeasuredRow): Figures {
  const of = (name: string): ContestantResult | undefined =>
    row.contestants.find((contestant) => contestant.name === name);
  const peers = row.contestants.filter(({ name }) => name !== "tsbuild" && name !== "floor");
  const floor = of("floor");
  const sentBytes = of("tsbuild")?.sentBytes;
  return {
    tsbuild: of("tsbuild")?.seconds ?? Number.NaN,
    peakBytes: of("tsbuild")?.peakBytes ?? Number.NaN,
    ...(row.units !== undefined && { units: row.units }),
    ...(sentBytes !== undefined && { sentBytes }),
    ...(floor && { floor: floor.seconds }),
    peers: peers.map(({ seconds }) => seconds),
  };
}
