import { downloadUrl } from "../../core/index.ts";
import type { TimedSource } from "../../plan/index.ts";
import type { Engine } from "../engine.ts";
import type { Remotes } from "./remotes.ts";
import type { MainContext } from "./sources.ts";

/**
 * When a source was last changed, in seconds: a commit's time; what a server says of its file, or else the newest file
 * of an archive. undefined for what has no time, such as a directory.
 * @throws CONTEXT_GIT_*, HTTP_*
 */
export async function timeOf(
  source: TimedSource,
  build: {
    readonly context: MainContext;
    readonly remotes: Remotes;
    readonly engine: Engine;
  },
): Promise<number | undefined> {
  const { context, remotes, engine } = build;
  switch (source.type) {
    case "context":
      return context.type === "tree" ? context.time() : undefined;
    case "git":
      return remotes.git().commitTime(source, engine.signal);
    case "http":
      return timeOfUrl(source.url, build);
  }
}

async function timeOfUrl(
  url: string,
  { remotes, engine }: { readonly remotes: Remotes; readonly engine: Engine },
): Promise<number | undefined> {
  const { signal } = engine;
  const headers = await remotes.authorize(url);
  const { content, lastModified } = await downloadUrl({ url, headers, signal });
  try {
    if (lastModified !== undefined) return Math.floor(lastModified.getTime() / 1000);
    return await newestFile(content);
  } finally {
    content.destroy();
  }
}

/** undefined when it is no archive. */
async function newestFile(content: AsyncIterable<Uint8Array>): Promise<number | undefined> {
  const { openIfTar } = await import("../../layer/index.ts");
  const entries = await openIfTar(content);
  let newest: number | undefined;
  for await (const entry of entries ?? []) {
    const seconds = Number(entry.mtime / 1_000_000_000n);
    if (entry.type === "file" && (newest === undefined || seconds > newest)) newest = seconds;
  }
  return newest;
}
