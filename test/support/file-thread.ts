import { setTimeout } from "node:timers/promises";
import { onTestFinished, vi } from "vitest";
import { JobThread } from "../../src/core/index.ts";
import { bundleScript } from "./bundle-script.ts";

let script: Promise<string> | undefined;

/** The second thread of a build as the package has it, running; `kinds` tells of the jobs that it got. */
export async function openTestThread(): Promise<{ thread: JobThread; kinds: Set<string> }> {
  script ??= bundleScript("../../src/build/file-thread");
  const thread = new JobThread(await script);
  onTestFinished(async () => thread.close());
  thread.start();
  while (!thread.isReady) await setTimeout(1);
  const kinds = new Set<string>();
  const post = thread.post.bind(thread);
  vi.spyOn(thread, "post").mockImplementation((job) => {
    kinds.add((job as { readonly kind: string }).kind);
    return post(job);
  });
  return { thread, kinds };
}
