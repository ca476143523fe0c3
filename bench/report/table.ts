import { type Figures, type Judged, judge, ratioToPeers } from "./goals.ts";
import { figuresOf, type MeasuredRow, type Results } from "./results.ts";

const peers = ["docker", "buildah", "podman"] as const;

/** Cells of the table, the head first; seconds are medians, ratios are tsbuild's time by the other's. */
export function tableOf(results: Results): readonly (readonly string[])[] {
  const shown = peers.filter((peer) => results.engines[peer] !== undefined);
  const others = figuresByRow(results);
  const head = ["row", "tsbuild s", "CPU s", "peak MB"];
  for (const peer of shown) head.push(`${peer} s`, "ratio");
  head.push("floor s", "ratio", "goals");
  return [head, ...results.rows.map((row) => cellsOf(row, { shown, others, width: head.length }))];
}

/** Columns of equal width, for a terminal. */
export function alignTable(cells: readonly (readonly string[])[]): string {
  const widths = cells[0]?.map((_, column) => widthOf(cells, column)) ?? [];
  const lines = cells.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isText(column, row.length) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  "),
  );
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

/** The same as Markdown. */
export function markdownTable(cells: readonly (readonly string[])[]): string {
  const [head = [], ...rows] = cells;
  const rule = head.map((_, column) => (isText(column, head.length) ? "---" : "---:"));
  return [head, rule, ...rows].map((row) => `| ${row.join(" | ")} |\n`).join("");
}

const [begin, end] = ["<!-- what npm run bench wrote -->\n", "<!-- end of it -->"];

/** The page with `table` between the two marks. @throws when they are not there */
export function replaceTable(page: string, table: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`the page has no place for the table: ${begin}`);
  return `${page.slice(0, from + begin.length)}\n${table}\n${page.slice(to)}`;
}

/** What of the goals was met, word for word. */
export function describeGoals(judged: readonly Judged[]): string {
  const told = judged.filter(({ goal, verdict }) => goal.of !== "memory" || verdict === "missed");
  return told.map(describeGoal).join("; ");
}

export function figuresByRow(results: Results): ReadonlyMap<string, Figures> {
  const measured = results.rows.filter((row) => row.kind === "measured");
  return new Map(measured.map((row) => [row.name, figuresOf(row)]));
}

function cellsOf(
  row: Results["rows"][number],
  options: {
    readonly shown: readonly string[];
    readonly others: ReadonlyMap<string, Figures>;
    readonly width: number;
  },
): readonly string[] {
  const { shown, others, width } = options;
  if (row.kind !== "measured") {
    const [reason = ""] = row.why.split("\n");
    const dashes = Array.from({ length: width - 2 }, () => "-");
    return [row.name, ...dashes, `${row.kind}: ${reason}`];
  }
  const figures = figuresOf(row);
  const own = row.contestants.find(({ name }) => name === "tsbuild");
  return [
    row.name,
    seconds(figures.tsbuild),
    own?.cpuSeconds.toFixed(2) ?? "-",
    (figures.peakBytes / 1e6).toFixed(0),
    ...[...shown, "floor"].flatMap((name) => compared(row, { name, own: figures.tsbuild })),
    describeGoals(judge(row.goals, figures, others)),
  ];
}

function compared(
  row: MeasuredRow,
  { name, own }: { readonly name: string; readonly own: number },
): readonly string[] {
  const theirs = row.contestants.find((contestant) => contestant.name === name)?.seconds;
  return theirs === undefined ? ["-", "-"] : [seconds(theirs), (own / theirs).toFixed(2)];
}

function describeGoal({ goal, value, verdict }: Judged): string {
  const show = inUnits[goal.of];
  const limit = show?.(goal.atMost) ?? String(goal.atMost);
  const of = goal.of === "row" ? goal.row : goal.of;
  if (value === undefined) return `${of} ≤ ${limit}: untold`;
  const seen = show?.(value) ?? value.toFixed(2);
  if (goal.of === "sent" && verdict === "met") return `${of} ≤ ${limit}: met (${seen})`;
  return verdict === "met" ? `${of} ≤ ${limit}: met` : `${of} ≤ ${limit}: **missed** (${seen})`;
}

/** How values are shown that are no ratios. */
const inUnits: Partial<Record<Judged["goal"]["of"], (value: number) => string>> = {
  memory: megabytes,
  sent: (bytes) => `${(bytes / 1000).toFixed(1)} kB`,
};

/** For the picture: the ratio and both times, or why there are none. */
export function ratioText(figures: Figures): string {
  const ratio = ratioToPeers(figures);
  if (ratio === undefined) return "no peer";
  const peer = Math.min(...figures.peers);
  return `${ratio.toFixed(2)}  (${seconds(figures.tsbuild)} : ${seconds(peer)} s)`;
}

function seconds(value: number): string {
  return value < 10 ? value.toFixed(3) : value.toFixed(1);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function isText(column: number, columns: number): boolean {
  return column === 0 || column === columns - 1;
}

function widthOf(cells: readonly (readonly string[])[], column: number): number {
  return Math.max(...cells.map((row) => row[column]?.length ?? 0));
}
