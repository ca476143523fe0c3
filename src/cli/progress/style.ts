import type { ProgressStream } from "./types.ts";

export type Paint = (text: string) => string;

/** Colours by what they mean; all of them do nothing where colours are not wanted. */
export interface Style {
  readonly color: boolean;
  readonly strong: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly known: Paint;
  readonly warn: Paint;
}

export function styleFor(color: boolean): Style {
  const paint =
    (open: number, close: number): Paint =>
    (text) =>
      color ? `\u001b[${String(open)}m${text}\u001b[${String(close)}m` : text;
  return {
    color,
    strong: paint(1, 22),
    faint: paint(2, 22),
    good: paint(32, 39),
    bad: paint(31, 39),
    known: paint(34, 39),
    warn: paint(33, 39),
  };
}

/** Whether to write colours: on a terminal that has them, unless NO_COLOR is set (no-color.org). */
export function wantsColor(stream: ProgressStream): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && TERM !== "dumb" && (NO_COLOR ?? "") === "";
}
