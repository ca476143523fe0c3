import { unreachable, type ProgressEvent, type StepId, type Warning } from "../../core/index.ts";
import { imageLine, warningLines } from "./ending.ts";
import { LiveRegion } from "./live-region.ts";
import { liveLines, endedLine, type LiveStep, type Symbols } from "./live-lines.ts";
import { StepOutput } from "./step-output.ts";
import { styleFor, wantsColor, type Style } from "./style.ts";
import { sanitiseLine } from "./terminal-text.ts";
import type { Progress, ProgressOptions } from "./types.ts";

/** Lines of output that are remembered per running step. */
const tailLines = 6;
const frameMs = 100;

const ascii: Symbols = { spinner: ["-", "\\", "|", "/"], done: "+", failed: "x", bar: "|" };
const unicode: Symbols = { ...ascii, done: "✔", failed: "✖", bar: "│" };

/**
 * A live list for people: finished steps scroll up and stay, running ones stand below with their last lines of output
 * and their time. Bytes of a step never reach the terminal as they are.
 */
export function createTty(options: ProgressOptions): Progress {
  const tty = new TtyProgress(options);
  return {
    listener: (event) => tty.add(event),
    finish: (outcome) => tty.finish(outcome),
  };
}

class TtyProgress {
  readonly #now: () => number;
  readonly #style: Style;
  readonly #region: LiveRegion;
  readonly #running = new Map<StepId, LiveStep>();
  readonly #warnings: Warning[] = [];
  readonly #timer: NodeJS.Timeout;
  /** Lines that are to stay, not written yet. */
  #ended: string[] = [];
  #symbols: Symbols;
  #isSpinnerLoading = false;
  #image: string | undefined;
  #began: number | undefined;
  #count = 0;
  #finished = 0;

  constructor(options: ProgressOptions) {
    this.#now = options.now ?? Date.now;
    this.#style = styleFor(options.color ?? wantsColor(options.stream));
    this.#region = new LiveRegion(options.stream, () => this.#draw());
    this.#timer = setInterval(() => this.#draw(), frameMs).unref();
    // The Linux console's font lacks them.
    this.#symbols = process.env["TERM"] === "linux" ? ascii : unicode;
  }

  add(event: ProgressEvent): void {
    this.#began ??= event.time;
    switch (event.type) {
      case "warning":
        this.#warnings.push(event);
        return;
      case "image-ready":
        this.#image = imageLine(event);
        return;
      case "step-started":
        this.#start(event);
        return;
      case "step-cached":
        if (!this.#running.has(event.step)) this.#start(event);
        return this.#end(event, "cached");
      case "step-output":
        return this.#addOutput(event);
      case "step-progress":
        return this.#addAmount(event);
      case "step-done":
        return this.#end(event, "done");
      case "step-failed":
        return this.#end(event, "failed");
      case "step-canceled":
        return this.#end(event, "canceled");
      case "step-phase":
      case "step-usage":
        // For timelines.
        return;
      default:
        unreachable(event);
    }
  }

  finish(outcome: "success" | "failure"): void {
    clearInterval(this.#timer);
    const { good, bad } = this.#style;
    const word = outcome === "success" ? good("FINISHED") : bad("FAILED");
    const lines = [...this.#ended];
    if (this.#count > 0) lines.push(`${this.#header()} ${word}`);
    if (this.#image !== undefined) lines.push(this.#image);
    lines.push(...warningLines(this.#warnings).map(this.#style.warn));
    this.#ended = [];
    this.#region.close(lines);
  }

  #start(event: {
    readonly step: StepId;
    readonly name: string;
    readonly why?: string;
    readonly time: number;
  }): void {
    this.#count++;
    this.#running.set(event.step, {
      name: oneLine(event.name),
      why: event.why === undefined ? undefined : oneLine(event.why),
      started: event.time,
      output: new StepOutput(),
      tail: [],
      amounts: new Map(),
    });
  }

  #end(
    event: { readonly step: StepId; readonly time: number },
    how: "done" | "cached" | "failed" | "canceled",
  ): void {
    const step = this.#running.get(event.step);
    if (step === undefined) return;
    this.#running.delete(event.step);
    this.#finished++;
    const { columns } = this.#region;
    const view = { columns, style: this.#style, symbols: this.#symbols };
    this.#ended.push(endedLine(step, { how, time: event.time }, view));
  }

  #addOutput(event: ProgressEvent & { type: "step-output" }): void {
    const step = this.#running.get(event.step);
    if (step === undefined) return;
    const lines = step.output.push(event);
    if (lines.length > 0) step.tail = [...step.tail, ...lines].slice(-tailLines);
  }

  #addAmount(event: ProgressEvent & { type: "step-progress" }): void {
    const amounts = this.#running.get(event.step)?.amounts;
    if (event.done) amounts?.delete(event.item);
    else amounts?.set(event.item, event);
  }

  #header(): string {
    const seconds = ((this.#now() - (this.#began ?? this.#now())) / 1000).toFixed(1);
    return `[+] Building ${seconds}s (${String(this.#finished)}/${String(this.#count)})`;
  }

  #draw(): void {
    if (this.#count === 0) return;
    this.#loadSpinner();
    const { columns, rows } = this.#region;
    const live = liveLines([...this.#running.values()], {
      columns,
      rows: rows - 2,
      now: this.#now(),
      style: this.#style,
      symbols: this.#symbols,
    });
    const ended = this.#ended;
    this.#ended = [];
    this.#region.draw(ended, [this.#header(), ...live]);
  }

  /**
   * ora knows which spinner this terminal can show; it takes 20 ms to load, so a build that is over before the first
   * frame goes without. Its own drawing is not used, since it is for one line and writes every frame in pieces. Nor does
   * it discard what is typed: for that it sets the terminal to raw mode, which takes Ctrl-Z from the user and stops a
   * build in the background.
   */
  #loadSpinner(): void {
    if (this.#isSpinnerLoading) return;
    this.#isSpinnerLoading = true;
    void import("ora").then(({ default: ora }) => {
      this.#symbols = { ...this.#symbols, spinner: ora({ isSilent: true }).spinner.frames };
    });
  }
}

function oneLine(text: string): string {
  return sanitiseLine(text.replaceAll(/\s*\n\s*/g, " "), { color: false });
}
