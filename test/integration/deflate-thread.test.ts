import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { afterEach, expect, test, vi } from "vitest";
import { JobThread } from "../../src/core/index.ts";
import { compressGzip } from "../../src/layer/index.ts";
import { bundleScript } from "../support/bundle-script.ts";
import { pseudoRandom } from "../support/random.ts";

const megabytes = 24;

/** Compressible, and nowhere the same. */
const content = makeContent();

function makeContent(): Buffer {
  const next = pseudoRandom(7);
  const bytes = Buffer.alloc(megabytes * 1_000_000 + 17);
  for (let at = 0; at + 8 < bytes.length; at += 8) bytes.writeUInt32LE(next() * 2 ** 24, at);
  return bytes;
}

/** Slow enough for the threads to be there in time. */
async function* slowly(): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += 1_000_000) {
    await setTimeout(10);
    yield content.subarray(at, at + 1_000_000);
  }
}

const here = buffer(compressGzip(Readable.from([content]), {}));

afterEach(() => {
  vi.restoreAllMocks();
});

test("threads give the same bytes as one alone, and are ended", async (ctx) => {
  if (availableParallelism() === 1) return ctx.skip("one core: nobody starts a thread");
  const model = new JobThread(await bundleScript("../../src/build/file-thread"));
  const post = vi.spyOn(JobThread.prototype, "post");
  const close = vi.spyOn(JobThread.prototype, "close");
  let compressed = Buffer.alloc(0);
  // On a machine with much other work a thread may not be ready before all is done.
  for (let turn = 0; turn < 20 && post.mock.calls.length === 0; turn += 1) {
    compressed = await buffer(compressGzip(slowly(), { thread: model }));
  }
  expect(post).toHaveBeenCalledWith(expect.objectContaining({ kind: "deflate" }));
  expect(compressed.equals(await here)).toBe(true);
  expect(gunzipSync(compressed).equals(content)).toBe(true);
  expect(close).toHaveBeenCalled();
  // Not the one that serves as a model: it belongs to somebody else.
  expect(close.mock.contexts).not.toContain(model);
});

test("a thread that does nothing, or dies, costs no byte", async () => {
  const dying = new JobThread(await bundleScript("dying-thread"));
  for (const model of [new JobThread("/nonexistent.js"), dying]) {
    const compressed = await buffer(compressGzip(slowly(), { thread: model }));
    expect(compressed.equals(await here)).toBe(true);
  }
});

test("whoever stops reading ends the threads", async () => {
  const model = new JobThread(await bundleScript("../../src/build/file-thread"));
  const opened = vi.spyOn(model, "another");
  const close = vi.spyOn(JobThread.prototype, "close");
  const compressed = compressGzip(slowly(), { thread: model });
  let read = 0;
  for await (const chunk of compressed as AsyncIterable<Buffer>) {
    read += chunk.length;
    if (read > 7_000_000) break;
  }
  await vi.waitFor(() => {
    expect(close).toHaveBeenCalledTimes(opened.mock.calls.length);
  });
});
