import { PassThrough } from "node:stream";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { openLayer } from "../../../src/layer/index.ts";

test.each([
  ["gzip", gzipSync(Buffer.alloc(100_000, "x"))],
  ["plain", Buffer.alloc(100_000)],
])("a %s layer that is given up before it is read ends nothing else", async (_, bytes) => {
  const input = new PassThrough();
  input.write(bytes.subarray(0, bytes.length - 20));
  const layer = await openLayer(input);
  input.destroy();
  // An error that nobody hears would end this process by now.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  await expect(layer.finish()).rejects.toMatchObject({ code: expect.any(String) as string });
});
