import type { ProgressListener } from "../core/index.ts";

/** For commands without a progress display: warnings go to `stream`, everything else is left out. */
export function warningPrinter(stream: NodeJS.WritableStream): ProgressListener {
  return (event) => {
    if (event.type !== "warning") return;
    stream.write(`tsbuild: warning: ${event.message} [${event.code}]\n`);
    if (event.hint !== undefined) stream.write(`  hint: ${event.hint}\n`);
  };
}

/** The same, and a line for each step that begins, for a command whose output belongs to somebody else. */
export function stepPrinter(stream: NodeJS.WritableStream): ProgressListener {
  const warn = warningPrinter(stream);
  return (event) => {
    if (event.type === "step-started") stream.write(`tsbuild: ${event.name}\n`);
    warn(event);
  };
}
