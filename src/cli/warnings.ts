import type { ProgressListener } from "../core/index.ts";

/** For commands without a progress display: warnings go to `stream`, everything else is left out. */
export function warningPrinter(stream: NodeJS.WritableStream): ProgressListener {
  return (event) => {
    if (event.type !== "warning") return;
    stream.write(`tsbuild: warning: ${event.message} [${event.code}]\n`);
    if (event.hint !== undefined) stream.write(`  hint: ${event.hint}\n`);
  };
}
