import { formatTime } from "../graph/node-text.ts";
import type { Timeline, TimelinePhase, TimelineStep } from "./collect-timeline.ts";
import { pageStyle } from "./page-style.ts";
import { escapeMarkup } from "../escape-markup.ts";

/** In the order in which a step has them. */
const phases: readonly TimelinePhase["phase"][] = [
  ...(["queue", "pull", "run", "search", "commit", "compress", "push", "other"] as const),
];

const phaseTexts: Readonly<Record<TimelinePhase["phase"], string>> = {
  queue: "waits for its turn",
  pull: "pull",
  run: "run",
  search: "search for secrets",
  commit: "diff into a layer",
  compress: "compress",
  push: "push",
  other: "other",
};

/**
 * One page that needs nothing else: no script, no font, nothing from outside. A row for each step, with what it did when
 * and what it took; what could not be measured is left empty. The figures stand in it as JSON too.
 */
export function drawPage(timeline: Timeline): string {
  const { steps, image, from, to } = timeline;
  const used = phases.filter((phase) =>
    steps.some((step) => step.phases.some((each) => each.phase === phase)),
  );
  const hasFailed = steps.some(({ outcome }) => outcome === "failed" || outcome === "canceled");
  const title = image ?? (hasFailed ? "a build that failed" : "a build");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeMarkup(title)} · timeline</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>${escapeMarkup(title)}</h1>
<p>${escapeMarkup(summary(timeline))}</p>
<ul class="legend">${used.map((phase) => `<li><i class="${phase}"></i>${phaseTexts[phase]}</li>`).join("")}<li><i class="cached"></i>cached</li></ul>
</header>
<table>
<colgroup><col class="name"><col class="bars"><col class="time"><col class="num"><col class="num"><col class="num"></colgroup>
<thead><tr><th scope="col">step</th><th scope="col"><div class="axis">${drawAxis(to - from)}</div></th><th scope="col">time</th><th scope="col" title="the most that its processes held, their file cache included">memory</th><th scope="col" title="seconds of all cores">CPU</th><th scope="col" title="size of its layer, or what was pulled and pushed">bytes</th></tr></thead>
<tbody>
${steps.map((step) => drawStep(step, timeline)).join("\n")}
</tbody>
</table>
<script type="application/json" id="timeline">${JSON.stringify(timeline).replaceAll("<", "\\u003c")}</script>
</body>
</html>
`;
}

function summary({ from, to, steps, warnings }: Timeline): string {
  const count = (outcome: TimelineStep["outcome"]): number =>
    steps.filter((step) => step.outcome === outcome).length;
  const outcomes = (["done", "cached", "failed", "canceled"] as const)
    .filter((outcome) => count(outcome) > 0)
    .map((outcome) => `${count(outcome)} ${outcome}`);
  return [
    new Date(from).toISOString().slice(0, 19).replace("T", " ") + " UTC",
    formatTime(to - from),
    `${steps.length} steps: ${outcomes.join(", ")}`,
    ...(warnings === 0 ? [] : [`${warnings} warnings`]),
  ].join(" · ");
}

/** Round times, about six of them. */
export function axisTicks(duration: number): readonly number[] {
  const least = Math.max(duration, 1) / 7;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= least);
  const width = Math.max(step ?? 10 * power, 1);
  return Array.from({ length: Math.floor(duration / width) + 1 }, (_, index) => index * width);
}

function drawAxis(duration: number): string {
  return axisTicks(duration)
    .filter((tick) => tick < duration * 0.97)
    .map((tick) => `<span style="left:${percent(tick, duration)}">${formatTime(tick)}</span>`)
    .join("");
}

function drawStep(step: TimelineStep, { from, to }: Timeline): string {
  const duration = Math.max(to - from, 1);
  const ticks = axisTicks(duration).map(
    (tick) => `<u style="left:${percent(tick, duration)}"></u>`,
  );
  const { name, why, outcome, peakMemory, cpuMs } = step;
  const bytes = step.layerBytes ?? step.movedBytes;
  const told = why === undefined ? name : `${name}\n\nwhy: ${why}`;
  const took = outcome === "cached" ? "cached" : formatTime(step.to - step.from);
  const mark = outcome === "failed" || outcome === "canceled" ? ` <em>${outcome}</em>` : "";
  return [
    `<tr class="${outcome}"><th scope="row"><div title="${escapeMarkup(told)}">${escapeMarkup(name)}</div></th>`,
    `<td class="track"><div>${ticks.join("")}${drawBars(step, { from, duration })}</div></td>`,
    `<td>${took}${mark}</td>`,
    `<td>${peakMemory === undefined ? "" : formatBytes(peakMemory)}</td>`,
    `<td>${cpuMs === undefined ? "" : formatTime(cpuMs)}</td>`,
    `<td>${bytes === undefined ? "" : formatBytes(bytes)}</td></tr>`,
  ].join("");
}

function drawBars(
  step: TimelineStep,
  axis: { readonly from: number; readonly duration: number },
): string {
  const { from, duration } = axis;
  if (step.outcome === "cached") {
    return `<b class="cached" style="left:${percent(step.from - from, duration)}" title="cached"></b>`;
  }
  return step.phases
    .map((phase) => {
      const left = percent(phase.from - from, duration);
      const width = percent(phase.to - phase.from, duration);
      const title = `${phaseTexts[phase.phase]}: ${formatTime(phase.to - phase.from)}`;
      return `<b class="${phase.phase}" style="left:${left};width:${width}" title="${title}"></b>`;
    })
    .join("");
}

function percent(part: number, whole: number): string {
  return `${Math.min(Math.max((100 * part) / Math.max(whole, 1), 0), 100).toFixed(3)}%`;
}

/** `512 B`, `1.5 KiB`, `20 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let amount = bytes;
  for (; amount >= 1000 && unit < units.length - 1; unit++) amount /= 1024;
  return `${amount.toFixed(unit === 0 || amount >= 9.95 ? 0 : 1)} ${units[unit] ?? ""}`;
}
