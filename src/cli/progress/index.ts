import { unreachable } from "../../core/index.ts";
import { createPlain } from "./plain.ts";
import { createQuiet } from "./quiet.ts";
import { createRawJson } from "./raw-json.ts";
import { createTty } from "./tty.ts";
import type { Progress, ProgressMode, ProgressOptions, ProgressStream } from "./types.ts";

export { progressModes } from "./types.ts";
export type { Progress, ProgressMode, ProgressOptions, ProgressStream } from "./types.ts";

/**
 * A renderer that sees nothing but events and writes to nothing but the stream. What is still under way when it has
 * finished reports to nobody: the error, which comes behind it, is the end of what is read.
 */
export function createProgress(mode: ProgressMode, options: ProgressOptions): Progress {
  const renderer = createRenderer(mode, options);
  let isFinished = false;
  return {
    listener: (event) => {
      if (!isFinished) renderer.listener(event);
    },
    finish: (outcome) => {
      isFinished = true;
      renderer.finish(outcome);
    },
  };
}

function createRenderer(mode: ProgressMode, options: ProgressOptions): Progress {
  switch (mode) {
    case "auto":
    case "tty":
      return isTerminal(options.stream) ? createTty(options) : createPlain(options);
    case "plain":
      return createPlain(options);
    case "rawjson":
      return createRawJson(options);
    case "quiet":
    case "none":
      return createQuiet();
    default:
      return unreachable(mode);
  }
}

/** A live display needs a cursor that moves. */
function isTerminal(stream: ProgressStream): boolean {
  return stream.isTTY === true && process.env["TERM"] !== "dumb";
}
