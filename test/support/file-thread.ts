import { setTimeout } from "node:timers/promises";
import { onTestFinished, vi } from "vitest";
import { JobThread } from "../../src/core/index.ts";
import { bundleScript } from "./bundle-script.ts";

let script: Promise<string> | undefined;

/** The second thread of a build as the package has it, running. Whoever starts it closes it. */
export async function startTestThread(): Promise<JobThread> {
  script ??= bundleScript("../../src/build/file-thread");
  const thread = new JobThread(await script);
  thread.start();
  while (!thread.isReady) await setTimeout(1);
  return thread;
}

/** The same for one test; `kinds` tells of the jobs that it got. */
export async function openTestThread(): Promise<{ thread: JobThread; kinds: Set<string> }> {
  const thread = await startTestThread();
  onTestFinished(async () => thread.close());
  const kinds = new Set<string>();
  const post = thread.post.bind(thread);
  vi.spyOn(thread, "post").mockImplementation((job) => {
    kinds.add((job as { readonly kind: string }).kind);
    return post(job);
  });
  return { thread, kinds };
}
