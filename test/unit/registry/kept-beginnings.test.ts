import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { copyContent, type Descriptor } from "../../../src/image/index.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { MemoryPlace } from "../../support/memory-place.ts";
import { startFakeRegistry, type Fault } from "../../support/registry.ts";
import { openTestRepository } from "../../support/registry-scenes.ts";

const bytes = randomBytes(5000);
const descriptor: Descriptor = {
  mediaType: "text/plain",
  digest: digestOf(bytes),
  size: bytes.length,
};
const kept = 2000;

/** Copies a blob whose beginning was kept, and returns what came. */
async function goOn(host: string, wanted: Descriptor = descriptor): Promise<Buffer | undefined> {
  const sink = Object.assign(new MemoryPlace(), {
    takePartial: () =>
      Promise.resolve({
        size: kept,
        content: Readable.from([bytes.subarray(0, kept)], { objectMode: false }),
      }),
  });
  await copyContent({ source: openTestRepository(host), sink, descriptor: wanted });
  return sink.blobs.get(descriptor.digest);
}

const refusals: readonly Fault["act"][] = [
  { type: "status", status: 403 },
  { type: "headers", headers: { "content-range": "" } },
  { type: "headers", headers: { "content-range": "bytes 7-4999/5000" } },
];

test.each(refusals)(
  "a server that gives only the whole is asked for it: %j [R4.18]",
  async (act) => {
    const registry = await startFakeRegistry();
    registry.repository("app").blobs.set(descriptor.digest, bytes);
    registry.addFault({ method: "GET", path: /blobs/, act });
    expect((await goOn(registry.host))?.equals(bytes)).toBe(true);
    const ranges = registry.requests
      .filter(({ url }) => url.includes("/blobs/"))
      .map(({ headers }) => headers.range);
    expect(ranges).toEqual([`bytes=${String(kept)}-`, undefined]);
  },
);

test("a layer that lies elsewhere is fetched there all the same [R4.18]", async () => {
  const registry = await startFakeRegistry();
  const elsewhere = await startLocalServer((_request, response) => void response.end(bytes));
  const urls = [`${elsewhere.origin}/layer`];
  expect((await goOn(registry.host, { ...descriptor, urls }))?.equals(bytes)).toBe(true);
});

test.each([200, 416])(
  "a server that codes its answers and knows no ranges is decoded, then skipped: %i [R4.18]",
  async (status) => {
    const coded = gzipSync(bytes);
    const server = await startLocalServer((request, response) => {
      const isRefused = status === 416 && request.headers.range !== undefined;
      if (isRefused) response.writeHead(416).end();
      else response.writeHead(200, { "content-encoding": "gzip" }).end(coded);
    });
    expect((await goOn(new URL(server.origin).host))?.equals(bytes)).toBe(true);
  },
);

test("the rest of a blob that is said to be coded, and is not, stays as it is [R4.18]", async () => {
  const registry = await startFakeRegistry();
  registry.repository("app").blobs.set(descriptor.digest, bytes);
  const headers = { "content-encoding": "gzip" };
  registry.addFault({ method: "GET", path: /blobs/, times: 9, act: { type: "headers", headers } });
  expect((await goOn(registry.host))?.equals(bytes)).toBe(true);
  expect(registry.requests.filter(({ url }) => url.includes("/blobs/"))).toHaveLength(1);
});
