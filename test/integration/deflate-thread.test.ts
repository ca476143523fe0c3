import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
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

/** A thread that is not started, and ended with the test. */
function openThread(script: string): JobThread {
  const thread = new JobThread(script);
  onTestFinished(async () => thread.close());
  return thread;
}

test("threads give the same bytes as one alone", async (ctx) => {
  if (availableParallelism() === 1) return ctx.skip("one core: nobody starts a thread");
  const thread = openThread(await bundleScript("../../src/build/file-thread"));
  const post = vi.spyOn(JobThread.prototype, "post");
  let compressed = Buffer.alloc(0);
  // On a machine with much other work a thread may not be ready before all is done.
  for (let turn = 0; turn < 20 && post.mock.calls.length === 0; turn += 1) {
    compressed = await buffer(compressGzip(slowly(), { thread }));
  }
  expect(post).toHaveBeenCalledWith(expect.objectContaining({ kind: "deflate" }));
  expect(compressed.equals(await here)).toBe(true);
  expect(gunzipSync(compressed).equals(content)).toBe(true);
});

test("a thread that does nothing, or dies, costs no byte", async () => {
  for (const script of ["/nonexistent.js", await bundleScript("dying-thread")]) {
    const thread = openThread(script);
    const compressed = await buffer(compressGzip(slowly(), { thread }));
    expect(compressed.equals(await here)).toBe(true);
  }
});

test("where addresses are few, nobody takes ten GB of them for WebAssembly", async () => {
  const script = await bundleScript("../../src/layer/deflate/encoder");
  const ask = `import(${JSON.stringify(script)}).then((m) => console.log(m.canEncode()))`;
  const commands = `"$0" -e "$1"; ulimit -v 12000000; "$0" -e "$1"`;
  const told = execFileSync("bash", ["-c", commands, process.execPath, ask], { encoding: "utf8" });
  expect(told).toBe("true\nfalse\n");
});

test("those that were opened are ended, the first one is not, also when nobody reads on", async () => {
  const thread = openThread(await bundleScript("../../src/build/file-thread"));
  const opened: JobThread[] = [];
  const another = vi.spyOn(JobThread.prototype, "another");
  const close = vi.spyOn(JobThread.prototype, "close");
  another.mockImplementation(() => {
    opened.push(new JobThread("/nonexistent.js"));
    return opened.at(-1) ?? thread;
  });
  const compressed = compressGzip(slowly(), { thread });
  let read = 0;
  for await (const chunk of compressed as AsyncIterable<Buffer>) {
    read += chunk.length;
    if (read > 7_000_000) break;
  }
  await vi.waitFor(
    () => {
      expect(close.mock.contexts).toEqual(opened);
    },
    { timeout: 60_000 },
  );
});
