import {
  describeChange,
  formatReason,
  wouldRun,
  type Forecast,
  type ForecastOutcome,
  type ForecastStep,
  type Reason,
} from "../../api/index.ts";
import { formatSeconds } from "../progress/amounts.ts";
import { sanitiseLine } from "../progress/terminal-text.ts";
import { formatCount } from "../table.ts";

const words: Readonly<Record<ForecastOutcome, string>> = {
  cached: "cached",
  run: "run",
  depends: "depends",
  skipped: "not needed",
  pull: "pull",
};

/** What `build --dry-run` prints, for people: a line a step, why it would run, and how long all of it takes. */
export function formatForecast(forecast: Forecast): string {
  const { steps } = forecast;
  const widest = Math.max(0, ...steps.map(({ outcome }) => words[outcome].length));
  const indent = " ".repeat(widest + 10);
  const lines = steps.flatMap((step) => {
    const { name, outcome, dependsOn, why, durationMs } = step;
    const time = durationMs === undefined ? "" : `${formatSeconds(durationMs)}s`;
    return [
      `${words[outcome].padEnd(widest)}  ${time.padStart(6)}  ${clean(name)}`,
      ...(why === undefined ? [] : [`${indent}why: ${clean(why)}`]),
      ...dependsOn.map((other) => `${indent}on: ${clean(other)}`),
    ];
  });
  return `${[...lines, summaryOf(forecast)].join("\n")}\n`;
}

function summaryOf(forecast: Forecast): string {
  const steps = forecast.steps.filter(({ type }) => type === "step");
  if (steps.length === 0) return "There are no steps: nothing would run.";
  if (!wouldRun(forecast)) return "All steps are cached: nothing would run.";
  const count = (outcome: ForecastOutcome): number =>
    steps.filter((step) => step.outcome === outcome).length;
  const depending = count("depends");
  const parts = [
    `${String(count("run"))} of ${formatCount(steps.length, "step")} would run`,
    ...(depending === 0 ? [] : [`${String(depending)} may, which depends on what comes first`]),
  ];
  return `${parts.join(", ")}: ${timeOf(forecast)}.`;
}

function timeOf({ estimate }: Forecast): string {
  const { atLeastMs, atMostMs, unknown } = estimate;
  const [least, most] = [atLeastMs, atMostMs].map((ms) => `${formatSeconds(ms)}s`);
  const known = least === most ? `${most ?? ""}` : `${least ?? ""} to ${most ?? ""}`;
  if (unknown === 0) return `${known}, as long as they took the last time`;
  const others = `nobody knows how long ${formatCount(unknown, "step")} will take`;
  return atMostMs === 0 ? others : `${known} for what is known, and ${others}`;
}

/** What `explain` prints, for people: a line a step, and below it whatever else differs. */
export function formatExplanation({ steps }: Forecast): string {
  const lines = steps.flatMap((step) => [
    `${clean(step.name)}: ${clean(step.why ?? words[step.outcome])}`,
    ...detailsOf(step).map((line) => `    ${clean(line)}`),
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

function detailsOf({ reasons, dependsOn }: ForecastStep): readonly string[] {
  const [first, ...others] = reasons;
  return [
    ...(first === undefined ? [] : filesOf(first)),
    ...others.flatMap((reason) => [formatReason(reason), ...filesOf(reason)]),
    ...dependsOn.map((name) => `depends on what comes out of ${name}`),
  ];
}

/** File by file, where there are several; the step that reads them names them, not those that stand on it. */
function filesOf(reason: Reason): readonly string[] {
  if (reason.type !== "files" || reason.changed < 2) return [];
  const { files, changed } = reason;
  const more = changed - files.length;
  return [
    ...files.map((file) => `${file.path}: ${describeChange(file)}`),
    ...(more === 0 ? [] : [`and ${formatCount(more, "other file")}`]),
  ];
}

function clean(text: string): string {
  return sanitiseLine(text.replaceAll(/\s*\n\s*/g, " "), { color: false });
}
