import {
  isTsbuildError,
  type Clock,
  type ProgressListener,
  type StepId,
  type Warning,
} from "../core/index.ts";

/**
 * Numbers the steps of one build in the order in which they are first shown, and turns what happens to them into
 * events. A step that is looked at but never shown gets no number.
 */
export class StepLog {
  readonly #listener: ProgressListener;
  readonly #clock: Clock;
  #last: StepId = 0;

  constructor(options: { readonly listener: ProgressListener; readonly clock: Clock }) {
    this.#listener = options.listener;
    this.#clock = options.clock;
  }

  cached(name: string): void {
    this.#listener({ type: "step-cached", step: ++this.#last, name, time: this.#now() });
  }

  start(shown: ShownStep | string): Step {
    const step = ++this.#last;
    const listener = this.#listener;
    const now = (): number => this.#now();
    const { name, why } = typeof shown === "string" ? { name: shown } : shown;
    const reason = why === undefined ? {} : { why };
    listener({ type: "step-started", step, name, ...reason, time: now() });
    return {
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
    try {
      const result = await work(step);
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
  done(): void;
  failed(error: unknown): void;
}

/** Node's own interfaces reject with an AbortError, whatever the signal's reason. */
function isCanceled(error: unknown): boolean {
  if (isTsbuildError(error, "CANCELED")) return true;
  return error instanceof Error && error.name === "AbortError";
}
