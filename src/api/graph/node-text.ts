import type { BuildGraph, GraphNode } from "./types.ts";

/** What stands below a node's title: its number, what became of it, how long it took. */
export function describeNode({ kind, step, outcome, durationMs, line }: GraphNode): string {
  return [
    ...(step === undefined ? [] : [step]),
    ...(line === undefined ? [] : [`line ${line}`]),
    ...(outcome === undefined ? [] : [outcome]),
    // Of a step that was cached it is how long it took when it ran.
    ...(durationMs === undefined ? [] : [formatTime(durationMs)]),
    ...(kind === "result" ? ["what comes out"] : []),
  ].join(" · ");
}

/** `12 ms`, `3.4 s`, `20 s`, `2 min 5 s`. */
export function formatTime(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 99_950) return `${(ms / 1000).toFixed(ms % 1000 === 0 ? 0 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Which colours a node gets. */
export function classOf({ kind, outcome }: GraphNode): "cached" | "ran" | "result" | "other" {
  if (kind === "result") return "result";
  return outcome ?? "other";
}

/** What the colours speak of. */
export function describeBuild({ lastBuild, nodes }: BuildGraph): string {
  if (lastBuild === undefined) return "not built yet";
  const count = (wanted: GraphNode["outcome"]): number =>
    nodes.filter(({ outcome }) => outcome === wanted).length;
  const day = lastBuild.slice(0, 16).replace("T", " ");
  return `last build ${day} UTC: ${count("cached")} cached, ${count("ran")} ran`;
}
