import type { ProgressListener } from "../../core/index.ts";

export const progressModes = ["auto", "tty", "plain", "rawjson", "quiet", "none"] as const;

/** `auto` is `tty` on a terminal and `plain` elsewhere; `none` is another word for `quiet`. */
export type ProgressMode = (typeof progressModes)[number];

/** What a renderer needs of a stream: `process.stderr`, or a double. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  on?(event: "resize", listener: () => void): unknown;
  off?(event: "resize", listener: () => void): unknown;
}

export interface ProgressOptions {
  readonly stream: ProgressStream;
  /** Unless given: on a terminal, and NO_COLOR is not set. */
  readonly color?: boolean | undefined;
  /** Milliseconds since the epoch; the system's clock unless given. */
  readonly now?: (() => number) | undefined;
}

/** Shows the events of one verb. */
export interface Progress {
  readonly listener: ProgressListener;
  /**
   * Shows what is left, then the warnings, and gives the terminal back as it was. To be called once, also after a
   * failure; the stream stays open.
   */
  finish(outcome: "success" | "failure"): void;
}
