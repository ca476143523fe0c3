import type { ProgressEvent } from "../../core/index.ts";
import { formatAmount, formatSeconds } from "./amounts.ts";
import type { OutputLine, StepOutput } from "./step-output.ts";
import type { Style } from "./style.ts";
import { displayWidth, sanitiseLine, truncate } from "./terminal-text.ts";

export interface LiveStep {
  /** Safe to print. */
  readonly name: string;
  /** Why it runs, safe to print. */
  readonly why: string | undefined;
  readonly started: number;
  readonly output: StepOutput;
  /** Last lines of output as the process wrote them. */
  tail: readonly OutputLine[];
  /** What is being counted, by item. */
  readonly amounts: Map<string, ProgressEvent & { type: "step-progress" }>;
}

export interface Symbols {
  readonly spinner: readonly string[];
  readonly done: string;
  readonly failed: string;
  readonly bar: string;
}

interface View {
  readonly columns: number;
  readonly style: Style;
  readonly symbols: Symbols;
}

const spinnerMs = 100;
/** More than so many lines below one of several steps would hide the others. */
const linesEach = 3;

/** The running steps as at most `rows` lines, each at most `columns` wide. */
export function liveLines(
  steps: readonly LiveStep[],
  view: View & { readonly rows: number; readonly now: number },
): string[] {
  const rows = Math.max(view.rows, 1);
  if (steps.length > rows) {
    const hidden = steps.length - rows + 1;
    const shown = steps.slice(0, rows - 1).map((step) => runningLine(step, view));
    return [...shown, ` ${view.style.faint(`and ${String(hidden)} more steps`)}`];
  }
  let free = rows - steps.length;
  return steps.flatMap((step) => {
    const room = steps.length > 1 ? Math.min(free, linesEach) : free;
    const details = detailLines(step, view);
    const shown = details.slice(Math.max(details.length - room, 0));
    free -= shown.length;
    return [runningLine(step, view), ...shown];
  });
}

/** What stays on the screen of a step that ended. */
export function endedLine(
  step: LiveStep,
  end: { readonly how: "done" | "cached" | "failed" | "canceled"; readonly time: number },
  view: View,
): string {
  const { style, symbols } = view;
  const seconds = formatSeconds(end.time - step.started);
  switch (end.how) {
    case "done":
      return lineOf(
        { symbol: style.good(symbols.done), name: withReason(step, style), seconds },
        view,
      );
    case "cached": {
      const name = `${style.known("CACHED")} ${step.name}`;
      return lineOf({ symbol: style.known(symbols.done), name, seconds }, view);
    }
    case "failed": {
      const name = style.bad(`ERROR ${step.name}`);
      return lineOf({ symbol: style.bad(symbols.failed), name, seconds }, view);
    }
    case "canceled": {
      const name = style.faint(`CANCELED ${step.name}`);
      return lineOf({ symbol: style.faint("-"), name, seconds }, view);
    }
  }
}

function runningLine(step: LiveStep, view: View & { readonly now: number }): string {
  const { spinner } = view.symbols;
  const frame = spinner[Math.floor(Math.max(view.now, 0) / spinnerMs) % spinner.length] ?? "";
  const seconds = formatSeconds(view.now - step.started);
  return lineOf({ symbol: frame, name: withReason(step, view.style), seconds }, view);
}

function withReason({ name, why }: LiveStep, style: Style): string {
  return why === undefined ? name : `${name} ${style.faint(`(${why})`)}`;
}

/** ` ✔ name          0.3s`, the time at the right margin. */
function lineOf(
  parts: { readonly symbol: string; readonly name: string; readonly seconds: string },
  view: View,
): string {
  const time = `${parts.seconds}s`;
  const left = ` ${parts.symbol} `;
  const room = view.columns - displayWidth(left) - displayWidth(time) - 1;
  if (room < 1) return truncate(`${left}${parts.name}`, view.columns);
  const name = truncate(parts.name, room);
  return `${left}${name}${" ".repeat(room - displayWidth(name) + 1)}${time}`;
}

/** What is counted, then what was written last. */
function detailLines(step: LiveStep, view: View): string[] {
  const { style, symbols, columns } = view;
  const amounts = [...step.amounts.values()].map(
    (amount) => `${sanitiseLine(amount.item, { color: false })}${formatAmount(amount)}`,
  );
  const output = [...step.tail, ...step.output.unfinished()]
    .map(({ text }) => sanitiseLine(text, { color: style.color }))
    .filter((text) => text.trim() !== "");
  return [...amounts, ...output].map((text) =>
    truncate(`   ${style.faint(symbols.bar)} ${text}`, columns),
  );
}
