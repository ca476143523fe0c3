import { execute, type BenchWorkspace } from "./workspace.ts";
import type { PeerName } from "./peers.ts";

/** One line of the table. */
export interface BenchRow {
  readonly name: string;
  /** Commands of the contestants; called once, and each is run `runs` times. */
  readonly prepare: (workspace: BenchWorkspace, peers: readonly PeerName[]) => Promise<Contestants>;
}

export interface Contestants {
  readonly tsbuild: readonly string[];
  readonly peers: Readonly<Partial<Record<PeerName, readonly string[]>>>;
  readonly floor?: readonly string[];
}

/** Medians in seconds. */
export type Measured = { readonly tsbuild: number; readonly floor?: number } & Readonly<
  Partial<Record<PeerName, number>>
>;

export async function measureRow(
  row: BenchRow,
  options: {
    readonly workspace: BenchWorkspace;
    readonly peers: readonly PeerName[];
    readonly runs: number;
  },
): Promise<Measured> {
  const contestants = await row.prepare(options.workspace, options.peers);
  const commands: [string, readonly string[]][] = [
    ["tsbuild", contestants.tsbuild],
    ...Object.entries(contestants.peers),
    ...(contestants.floor === undefined ? [] : [["floor", contestants.floor] as const]).map(
      ([name, argv]): [string, readonly string[]] => [name, argv],
    ),
  ];
  const times = new Map<string, number[]>(commands.map(([name]) => [name, []]));
  // In turns, so that a machine that slows down slows all of them; the first turn only warms up.
  for (let run = -1; run < options.runs; run++) {
    for (const [name, argv] of commands) {
      const start = performance.now();
      execute(argv);
      if (run >= 0) times.get(name)?.push((performance.now() - start) / 1000);
    }
  }
  const medians = [...times].map(([name, values]) => [name, median(values)]);
  return Object.fromEntries(medians) as Measured;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
