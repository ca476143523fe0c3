import type { Digest } from "./digest.ts";
import type { SourceLocation } from "./errors.ts";

/**
 * Everything that can happen while a verb works, as one closed union. Renderers (`cli/progress`) and programs see
 * only this; nothing below the api prints. Times are milliseconds since the epoch.
 *
 * A step's life: `step-started`, any number of `step-output` / `step-progress`, then exactly one of `step-cached`,
 * `step-done`, `step-failed` or `step-canceled`. `step-cached` may come without `step-started`. Builds that are measured
 * tell `step-phase` and `step-usage` beside that, before the step's end.
 */
export type ProgressEvent =
  | StepStarted
  | {
      readonly type: "step-cached";
      readonly step: StepId;
      readonly name: string;
      readonly time: number;
    }
  | { readonly type: "step-done"; readonly step: StepId; readonly time: number }
  | {
      readonly type: "step-failed";
      readonly step: StepId;
      readonly time: number;
      readonly code: string;
      readonly message: string;
    }
  | { readonly type: "step-canceled"; readonly step: StepId; readonly time: number }
  /** Bytes as the process wrote them; a chunk may end in the middle of a line or of a character. */
  | {
      readonly type: "step-output";
      readonly step: StepId;
      readonly stream: "stdout" | "stderr";
      readonly bytes: Uint8Array;
      readonly time: number;
    }
  /** Progress of one countable thing inside a step, such as one layer's download. `total` may be unknown. */
  | {
      readonly type: "step-progress";
      readonly step: StepId;
      readonly item: string;
      readonly current: number;
      readonly total?: number | undefined;
      readonly unit: "bytes" | "files";
      readonly done: boolean;
      readonly time: number;
    }
  /** What a step did from `from` to `time`, sent when that is over. */
  | {
      readonly type: "step-phase";
      readonly step: StepId;
      readonly phase: StepPhase;
      readonly from: number;
      readonly time: number;
    }
  | StepUsage
  | Warning
  /** The verb's outcome, sent once at the end of a successful build. */
  | {
      readonly type: "image-ready";
      readonly imageId: Digest;
      readonly names: readonly string[];
      readonly time: number;
    };

/** Number of a step in one build, counted from 1 in the order in which steps are first shown. */
export type StepId = number;

export interface StepStarted {
  readonly type: "step-started";
  readonly step: StepId;
  /** As people read it: `[builder 2/4] RUN make` or `exporting to image`. */
  readonly name: string;
  /** Why a step of a build runs and is not taken from the cache. */
  readonly why?: string;
  readonly time: number;
}

/**
 * `queue`: all that it needs is there, and it waits for its turn. `search`: its layer is searched for secrets. `commit`:
 * what it changed becomes a layer.
 */
export type StepPhase = "queue" | "pull" | "run" | "search" | "commit" | "compress" | "push";

/** What a step took; what the machine does not tell is absent. */
export interface StepUsage {
  readonly type: "step-usage";
  readonly step: StepId;
  /** Bytes that its processes held at the most, the file cache that they filled among them. */
  readonly peakMemory?: number;
  /** Milliseconds of all cores. */
  readonly cpuMs?: number;
  /** Bytes of the layer that it made, as an uncompressed tar. */
  readonly layerBytes?: number;
  readonly time: number;
}

export interface Warning {
  readonly type: "warning";
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly location?: SourceLocation | undefined;
  readonly time: number;
}

export type ProgressListener = (event: ProgressEvent) => void;
