/** What a row wants to reach. Times are ratios, because seconds belong to one machine. */
export type Goal =
  /** tsbuild's time by the faster peer's, at most. */
  | { readonly of: "peer"; readonly atMost: number }
  /** tsbuild's time by the floor's, at most. */
  | { readonly of: "floor"; readonly atMost: number }
  /** tsbuild's time a unit by its time a unit in another row, at most: growth that is linear stays near 1. */
  | { readonly of: "row"; readonly row: string; readonly atMost: number }
  /** Largest resident set of tsbuild, in bytes, at most. */
  | { readonly of: "memory"; readonly atMost: number }
  /** Bytes that tsbuild sent to a registry in one turn, at most. */
  | { readonly of: "sent"; readonly atMost: number };

/** `untold` where nothing was there to compare with. */
export type Verdict = "met" | "missed" | "untold";

export interface Judged {
  readonly goal: Goal;
  /** What was measured, in the goal's own terms. */
  readonly value: number | undefined;
  readonly verdict: Verdict;
}

/** What the goals of a row are judged by; times in seconds. */
export interface Figures {
  readonly tsbuild: number;
  readonly peakBytes: number;
  readonly units?: number;
  readonly sentBytes?: number;
  readonly floor?: number;
  readonly peers: readonly number[];
}

/** @param others figures of other rows by name, for goals that compare rows */
export function judge(
  goals: readonly Goal[],
  figures: Figures,
  others: ReadonlyMap<string, Figures> = new Map(),
): readonly Judged[] {
  return goals.map((goal) => {
    const value = valueOf(goal, figures, others);
    if (value === undefined) return { goal, value, verdict: "untold" };
    return { goal, value, verdict: value <= goal.atMost ? "met" : "missed" };
  });
}

/** tsbuild's time by that of the fastest peer; undefined without peers. */
export function ratioToPeers({ tsbuild, peers }: Figures): number | undefined {
  return peers.length === 0 ? undefined : tsbuild / Math.min(...peers);
}

function valueOf(
  goal: Goal,
  figures: Figures,
  others: ReadonlyMap<string, Figures>,
): number | undefined {
  switch (goal.of) {
    case "peer":
      return ratioToPeers(figures);
    case "floor":
      return figures.floor === undefined ? undefined : figures.tsbuild / figures.floor;
    case "row": {
      const other = others.get(goal.row);
      if (other?.units === undefined || figures.units === undefined) return undefined;
      return figures.tsbuild / figures.units / (other.tsbuild / other.units);
    }
    case "memory":
      return figures.peakBytes;
    case "sent":
      return figures.sentBytes;
  }
}
