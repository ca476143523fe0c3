import { setImmediate as breathe } from "node:timers/promises";
import { loadSyscalls } from "../core/index.ts";
import { ByteSource } from "../layer/index.ts";
import { listTree } from "./list-tree.ts";
import { CacheReader } from "./read-files.ts";
import { TreeWriting } from "./write-tree.ts";

/**
 * Copies what is in the cache directory `from` to `to`, which is there and empty: all that travels, with its looks. Others may
 * write to `from` meanwhile.
 */
export async function copyCache(request: {
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { from, to, signal } = request;
  const kernel = await loadSyscalls();
  const writing = new TreeWriting({ kernel, directory: to });
  let count = 0;
  await new CacheReader(kernel).read(listTree(from), async ({ entry, content }) => {
    if (++count % 64 === 0) await breathe();
    signal.throwIfAborted();
    await writing.write(entry, new ByteSource(inOrder(content)));
  });
  writing.finish();
}

/** Each piece is read over the one before, and written before the next. */

async function* inOrder(
  content: (() => Iterable<Buffer>) | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  yield* content?.() ?? [];
}
