import {
  isTsbuildError,
  type Clock,
  type ProgressListener,
  type StepId,
  type StepPhase,
  type StepUsage,
  type Warning,
} from "../core/index.ts";

/**
 * Numbers the steps of one build in the order in which they are first shown, and turns what happens to them into
 * events. A step that is looked at but never shown gets no number.
 */
export class StepLog {
  readonly #listener: ProgressListener;
  readonly #clock: Clock;
  readonly #isMeasured: boolean;
  #last: StepId = 0;

  constructor(options: {
    readonly listener: ProgressListener;
    readonly clock: Clock;
    /** Whether steps tell their phases and what they took. */
    readonly isMeasured?: boolean | undefined;
  }) {
    this.#listener = options.listener;
    this.#clock = options.clock;
    this.#isMeasured = options.isMeasured === true;
  }

  cached(name: string): void {
    this.#listener({ type: "step-cached", step: ++this.#last, name, time: this.#now() });
  }

  start(shown: ShownStep | string): Step {
    const step = ++this.#last;
    const listener = this.#listener;
    const now = (): number => this.#now();
    const { name, why, waitingSince } = typeof shown === "string" ? { name: shown } : shown;
    const reason = why === undefined ? {} : { why };
    const started = now();
    listener({ type: "step-started", step, name, ...reason, time: started });
    const isMeasured = this.#isMeasured;
    if (isMeasured && waitingSince !== undefined)
      listener({ type: "step-phase", step, phase: "queue", from: waitingSince, time: started });
    return {
      isMeasured,
      phase: async (phase, work) => {
        if (!isMeasured) return work();
        const from = now();
        try {
          return await work();
        } finally {
          listener({ type: "step-phase", step, phase, from, time: now() });
        }
      },
      usage: (usage) => {
        if (isMeasured) listener({ type: "step-usage", step, ...usage, time: now() });
      },
      output: (stream, bytes) =>
        listener({ type: "step-output", step, stream, bytes, time: now() }),
      progress: (report) => listener({ type: "step-progress", step, ...report, time: now() }),
      done: () => listener({ type: "step-done", step, time: now() }),
      failed: (error) => {
        if (isCanceled(error)) {
          return listener({ type: "step-canceled", step, time: now() });
        }
        const code = isTsbuildError(error) ? error.code : "INTERNAL";
        const message = error instanceof Error ? error.message : String(error);
        listener({ type: "step-failed", step, code, message, time: now() });
      },
    };
  }

  /** Shows `work` as one step from its start to its end. */
  async run<T>(shown: ShownStep | string, work: (step: Step) => Promise<T>): Promise<T> {
    const step = this.start(shown);
    const phase = typeof shown === "string" ? undefined : shown.phase;
    try {
      const result = await (phase === undefined ? work(step) : step.phase(phase, () => work(step)));
      step.done();
      return result;
    } catch (error) {
      step.failed(error);
      throw error;
    }
  }

  warn(warning: Omit<Warning, "type" | "time">): void {
    this.#listener({ type: "warning", ...warning, time: this.#now() });
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}

/** What is told of a step when it starts. */
export interface ShownStep {
  readonly name: string;
  /** Why it is not taken from the cache. */
  readonly why?: string;
  /** When it began to wait for its turn, in milliseconds since the epoch. */
  readonly waitingSince?: number;
  /** What it does from its start to its end, where that is one thing. */
  readonly phase?: StepPhase;
}

/** A step on screen that has started; exactly one of `done` and `failed` ends it. */
export interface Step {
  output(stream: "stdout" | "stderr", bytes: Uint8Array): void;
  progress(report: {
    readonly item: string;
    readonly current: number;
    readonly total?: number | undefined;
    readonly unit: "bytes" | "files";
    readonly done: boolean;
  }): void;
  /** Whether somebody wants to know what it takes. */
  readonly isMeasured: boolean;
  /** Does a part of the step's work. */
  phase<T>(phase: StepPhase, work: () => Promise<T>): Promise<T>;
  usage(usage: Omit<StepUsage, "type" | "step" | "time">): void;
  done(): void;
  failed(error: unknown): void;
}

/** Node's own interfaces reject with an AbortError, whatever the signal's reason. */
function isCanceled(error: unknown): boolean {
  if (isTsbuildError(error, "CANCELED")) return true;
  return error instanceof Error && error.name === "AbortError";
}
