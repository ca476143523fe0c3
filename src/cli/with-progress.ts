import { Option } from "commander";
import type { ProgressListener } from "../core/index.ts";
import { createProgress, progressModes, type ProgressMode } from "./progress/index.ts";

export interface ProgressFlags {
  readonly progress: ProgressMode;
  readonly quiet?: boolean;
}

/** `--progress`, the same for every command that shows steps. */
export function progressOption(): Option {
  return new Option("--progress <mode>", "how to show progress")
    .choices(progressModes)
    .default("auto")
    .env("BUILDKIT_PROGRESS");
}

/** Shows on stderr what `work` reports, and ends the display whichever way `work` ends. */
export async function withProgress<T>(
  flags: ProgressFlags,
  work: (listener: ProgressListener) => Promise<T>,
): Promise<T> {
  const mode = flags.quiet === true ? "quiet" : flags.progress;
  const progress = createProgress(mode, { stream: process.stderr });
  try {
    const result = await work(progress.listener);
    progress.finish("success");
    return result;
  } catch (error) {
    progress.finish("failure");
    throw error;
  }
}
