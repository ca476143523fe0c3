import { unreachable, type ProgressEvent, type StepId, type Warning } from "../../core/index.ts";
import { formatAmount, formatSeconds } from "./amounts.ts";
import { imageLine, warningLines } from "./ending.ts";
import { StepOutput, type OutputLine } from "./step-output.ts";
import { wantsColor } from "./style.ts";
import { sanitiseLine } from "./terminal-text.ts";
import type { Progress, ProgressOptions } from "./types.ts";

/** A running step keeps the floor until it was silent so long while another one has something to say. */
const patienceMs = 5_000;
/** An amount that grows is told so often. */
const amountIntervalMs = 5_000;
const tickMs = 1_000;

interface PlainStep {
  readonly id: StepId;
  readonly name: string;
  /** Told below the name. */
  readonly why: string | undefined;
  readonly started: number;
  readonly output: StepOutput;
  /** By item: when its amount was last told. */
  readonly amounts: Map<string, { readonly began: number; told: number }>;
  /** Given when the step is first shown. */
  number: number | undefined;
  /** Lines to print, without their `#N `. */
  pending: string[];
  /** Whether the last line is among them or printed. */
  ended: boolean;
}

/**
 * Lines for logs, as users of BuildKit know them: `#5 [builder 2/4] RUN make`, `#5 0.123 output`, `#5 DONE 0.3s`. One
 * step has the floor at a time; what others write meanwhile waits.
 */
export function createPlain(options: ProgressOptions): Progress {
  const plain = new PlainProgress(options);
  return {
    listener: (event) => plain.add(event),
    finish: () => plain.finish(),
  };
}

class PlainProgress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #color: boolean;
  readonly #steps = new Map<StepId, PlainStep>();
  readonly #warnings: Warning[] = [];
  readonly #timer: NodeJS.Timeout;
  #image: string | undefined;
  #current: PlainStep | undefined;
  #lastPrinted = 0;
  #shown = 0;
  #isFinishing = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#color = options.color ?? wantsColor(options.stream);
    this.#timer = setInterval(() => this.#print(), tickMs).unref();
  }

  add(event: ProgressEvent): void {
    switch (event.type) {
      case "warning":
        this.#warnings.push(event);
        return;
      case "image-ready":
        this.#image = imageLine(event);
        return;
      case "step-started":
        this.#steps.set(event.step, createStep(event));
        break;
      case "step-cached":
        this.#steps.set(event.step, this.#steps.get(event.step) ?? createStep(event));
        this.#end(event.step, "CACHED");
        break;
      case "step-output":
        this.#addOutput(event);
        break;
      case "step-progress":
        this.#addAmount(event);
        break;
      case "step-done":
        this.#end(event.step, `DONE ${this.#elapsed(event)}s`);
        break;
      case "step-failed":
        this.#end(event.step, `ERROR: ${this.#oneLine(event.message)}`);
        break;
      case "step-canceled":
        this.#end(event.step, "CANCELED");
        break;
      case "step-phase":
      case "step-usage":
        // For timelines.
        return;
      default:
        unreachable(event);
    }
    this.#print();
  }

  finish(): void {
    clearInterval(this.#timer);
    for (const step of this.#steps.values()) this.#queue(step, step.output.end());
    this.#isFinishing = true;
    this.#print();
    const lines = this.#image === undefined ? [] : ["", this.#image];
    lines.push(...warningLines(this.#warnings));
    this.#write(lines);
  }

  #addOutput(event: ProgressEvent & { type: "step-output" }): void {
    const step = this.#steps.get(event.step);
    if (step !== undefined) this.#queue(step, step.output.push(event));
  }

  #queue(step: PlainStep, lines: readonly OutputLine[]): void {
    for (const { text, time } of lines) {
      step.pending.push(`${formatSeconds(time - step.started, 3)} ${this.#clean(text)}`);
    }
  }

  /** A log gets what the process wrote; a terminal only what cannot harm it. */
  #clean(text: string): string {
    return this.#options.stream.isTTY === true ? sanitiseLine(text, { color: this.#color }) : text;
  }

  #oneLine(text: string): string {
    return this.#clean(text.replaceAll(/\s*\n\s*/g, " "));
  }

  #addAmount(event: ProgressEvent & { type: "step-progress" }): void {
    const step = this.#steps.get(event.step);
    if (step === undefined) return;
    const { item, time, done } = event;
    const known = step.amounts.get(item) ?? { began: time, told: -Infinity };
    step.amounts.set(item, known);
    if (!done && time - known.told < amountIntervalMs) return;
    known.told = time;
    const took = time - known.began;
    const seconds = took > 10 ? ` ${formatSeconds(took)}s` : "";
    step.pending.push(`${item}${formatAmount(event)}${seconds}${done ? " done" : ""}`);
  }

  #elapsed(event: { readonly step: StepId; readonly time: number }): string {
    return formatSeconds(event.time - (this.#steps.get(event.step)?.started ?? event.time));
  }

  #end(id: StepId, line: string): void {
    const step = this.#steps.get(id);
    if (step === undefined) return;
    this.#queue(step, step.output.end());
    step.pending.push(line);
    step.ended = true;
  }

  /** Prints what has the floor, and hands the floor on when it is free. */
  #print(): void {
    for (;;) {
      const current = this.#current;
      if (current !== undefined) {
        this.#flush(current);
        if (!current.ended && !this.#interrupt(current)) return;
        this.#current = undefined;
      }
      const next = this.#waiting() ?? this.#unseen();
      if (next === undefined) return;
      this.#giveFloor(next);
    }
  }

  /** Whether a running step must let another one speak, and says so. */
  #interrupt(step: PlainStep): boolean {
    if (this.#waiting() === undefined) return false;
    if (!this.#isFinishing && this.#now() - this.#lastPrinted < patienceMs) return false;
    this.#write([`#${String(step.number)} ...`]);
    return true;
  }

  #giveFloor(step: PlainStep): void {
    const isFirst = this.#shown === 0;
    const isNew = step.number === undefined;
    step.number ??= ++this.#shown;
    const number = `#${String(step.number)}`;
    const why =
      isNew && step.why !== undefined ? [`${number} why: ${this.#oneLine(step.why)}`] : [];
    this.#write([...(isFirst ? [] : [""]), `${number} ${this.#oneLine(step.name)}`, ...why]);
    this.#current = step;
  }

  #flush(step: PlainStep): void {
    const lines = step.pending.map((line) => `#${String(step.number)} ${line}`);
    step.pending = [];
    this.#write(lines);
    if (step.ended) this.#steps.delete(step.id);
  }

  /** A step that has something to print; those that ended come first. */
  #waiting(): PlainStep | undefined {
    const waiting = [...this.#steps.values()].filter(({ pending }) => pending.length > 0);
    return waiting.find(({ ended }) => ended) ?? waiting[0];
  }

  /** A running step that was not shown yet. */
  #unseen(): PlainStep | undefined {
    return [...this.#steps.values()].find(({ number }) => number === undefined);
  }

  #write(lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.#lastPrinted = this.#now();
    this.#options.stream.write(`${lines.join("\n")}\n`);
  }
}

function createStep(event: {
  readonly step: StepId;
  readonly name: string;
  readonly why?: string;
  readonly time: number;
}): PlainStep {
  return {
    id: event.step,
    name: event.name,
    why: event.why,
    started: event.time,
    output: new StepOutput(),
    amounts: new Map(),
    number: undefined,
    pending: [],
    ended: false,
  };
}
