import { writeFile } from "node:fs/promises";
import { systemClock } from "../../core/index.ts";
import type { BuildOptions } from "../build/options.ts";
import { checkFolderOf, outputFailed } from "../output/places.ts";
import { collectTimeline } from "./collect-timeline.ts";
import { drawPage } from "./draw-page.ts";
import { toTraceEvents } from "./trace-events.ts";

/**
 * Runs a build that is measured, and writes down when its steps did what, also when it fails. Without `timeline` it only
 * runs it.
 * @throws OUTPUT_FAILED, before the build where the file cannot be put there; and what `run` throws
 */
export async function withTimeline<T>(
  options: BuildOptions,
  run: (options: BuildOptions) => Promise<T>,
): Promise<T> {
  const { timeline: path, progress, clock = systemClock, ...rest } = options;
  if (path === undefined) return run(options);
  await checkFolderOf(path);
  const collector = collectTimeline(() => clock.now().getTime());
  const write = async (): Promise<void> => {
    const timeline = collector.finish();
    const text = path.endsWith(".json")
      ? JSON.stringify(toTraceEvents(timeline), undefined, 1)
      : drawPage(timeline);
    await writeFile(path, text).catch((error: unknown) => {
      throw outputFailed(path, error);
    });
  };
  let result: T;
  try {
    result = await run({
      ...rest,
      clock,
      isMeasured: true,
      progress: (event) => {
        collector.listener(event);
        progress?.(event);
      },
    });
  } catch (error) {
    // Why the build failed is what counts.
    await write().catch(() => undefined);
    throw error;
  }
  await write();
  return result;
}
