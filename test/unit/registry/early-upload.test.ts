import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { expect, onTestFinished, test, vi } from "vitest";
import { digestOf, mediaTypes } from "../../../src/core/index.ts";
import type { Descriptor } from "../../../src/image/index.ts";
import type { RegistryRepository } from "../../../src/registry/index.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { openTestRepository } from "../../support/registry-scenes.ts";
import {
  type FakeRegistry,
  type FakeRegistryOptions,
  startFakeRegistry,
} from "../../support/registry.ts";

const megabyte = 1024 * 1024;

async function open(
  options: FakeRegistryOptions = {},
): Promise<{ registry: FakeRegistry; repository: RegistryRepository }> {
  const registry = await startFakeRegistry(options);
  return { registry, repository: openTestRepository(registry.host, { access: "push" }) };
}

/** A blob of some bytes and the pieces in which it is made. */
function blobOf(size: number): { descriptor: Descriptor; bytes: Buffer; pieces: Buffer[] } {
  const bytes = randomBytes(size);
  const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(bytes), size };
  const pieces: Buffer[] = [];
  for (let at = 0; at < size; at += 300_000) pieces.push(bytes.subarray(at, at + 300_000));
  return { descriptor, bytes, pieces };
}

const whole = (bytes: Buffer) => () => Promise.resolve(Readable.from([bytes]));
const unread = () => Promise.reject(new Error("nobody was to read it"));

function stored(
  { registry }: { registry: FakeRegistry },
  { digest }: Descriptor,
): Buffer | undefined {
  return registry.repository("app").blobs.get(digest);
}

test("a blob is sent while it is made, in one request, and gets its name at the end", async () => {
  const place = await open();
  const { descriptor, bytes, pieces } = blobOf(3 * megabyte);
  const blob = place.repository.beginBlob();
  for (const piece of pieces) blob.write(piece);
  await expect
    .poll(() => place.registry.log().map((line) => line.split(" ")[0]))
    .toEqual(["POST", "PATCH"]);
  await blob.finish(descriptor, unread);
  expect(stored(place, descriptor)?.equals(bytes)).toBe(true);
  const [patch, put] = place.registry.requests.slice(-2);
  expect(patch?.headers["content-length"]).toBeUndefined();
  expect(put?.method).toBe("PUT");
  expect(put?.headers["content-length"]).toBe("0");
  expect(place.registry.openUploads).toBe(0);
});

test("a small blob is left to those who can ask for it first", async () => {
  const place = await open();
  const { descriptor, pieces } = blobOf(megabyte - 1);
  const blob = place.repository.beginBlob();
  for (const piece of pieces) blob.write(piece);
  await blob.finish(descriptor, unread);
  await blob.cancel();
  expect(place.registry.requests).toEqual([]);
});

test("a registry that is too slow gets the rest from the whole blob", async () => {
  const place = await open();
  const { descriptor, bytes, pieces } = blobOf(20 * megabyte);
  const blob = place.repository.beginBlob();
  // Nothing can be sent between two of them: there are more than are held.
  for (const piece of pieces) blob.write(piece);
  let reads = 0;
  await blob.finish(descriptor, () => {
    reads += 1;
    return whole(bytes)();
  });
  expect(reads).toBe(1);
  expect(stored(place, descriptor)?.equals(bytes)).toBe(true);
});

test("what a slow registry has already is not sent to its end", async () => {
  const place = await open();
  const { descriptor, bytes, pieces } = blobOf(20 * megabyte);
  place.registry.repository("app").blobs.set(descriptor.digest, bytes);
  const blob = place.repository.beginBlob();
  for (const piece of pieces) blob.write(piece);
  await blob.finish(descriptor, unread);
  expect(place.registry.log().filter((line) => line.startsWith("PUT"))).toEqual([]);
  await expect.poll(() => place.registry.openUploads).toBe(0);
});

const faults = [
  { method: "POST", path: /uploads/, act: { type: "status", status: 404 } },
  { method: "POST", path: /uploads/, act: { type: "headers", headers: { location: "" } } },
  { method: "PATCH", path: /uploads/, act: { type: "status", status: 405 } },
  { method: "PATCH", path: /uploads/, act: { type: "cut-upload" } },
  { method: "PATCH", path: /uploads/, act: { type: "headers", headers: { location: "" } } },
  { method: "PUT", path: /uploads/, act: { type: "status", status: 400 } },
  {
    method: "PUT",
    path: /uploads/,
    act: { type: "headers", headers: { "docker-content-digest": digestOf("other") } },
  },
] as const;

test.each(faults)(
  "$method that meets $act.type ends it, and the blob can be pushed",
  async (fault) => {
    const place = await open();
    place.registry.addFault({ ...fault, times: 1 });
    const { descriptor, bytes, pieces } = blobOf(3 * megabyte);
    const blob = place.repository.beginBlob();
    for (const piece of pieces) blob.write(piece);
    await blob.finish(descriptor, unread);
    await place.repository.push(descriptor, Readable.from([bytes]));
    expect(stored(place, descriptor)?.equals(bytes)).toBe(true);
  },
);

test("what is swallowed on its way is given up soon, and not tried again", async () => {
  const server = await startLocalServer((request, response) => {
    request.resume();
    const location = "/v2/app/blobs/uploads/1";
    if (request.method === "POST") response.writeHead(202, { location }).end();
    else if (request.method !== "PATCH") response.writeHead(200).end();
  });
  const repository = openTestRepository(new URL(server.origin).host, { access: "push" });
  const { descriptor, pieces } = blobOf(3 * megabyte);
  const blob = repository.beginBlob();
  for (const piece of pieces) blob.write(piece);
  await expect.poll(() => server.requests.at(-1)).toMatch(/^PATCH/);
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  let isOver = false;
  const finished = blob.finish(descriptor, unread).then(() => (isOver = true));
  while (!isOver) {
    vi.advanceTimersByTime(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await finished;
  const asked = server.requests.length;
  expect(server.requests.at(-1)).toMatch(/^DELETE/);
  const second = repository.beginBlob();
  for (const piece of pieces) second.write(piece);
  await second.finish(descriptor, unread);
  expect(server.requests).toHaveLength(asked);
});

test("what nobody wants any more is canceled in the registry", async () => {
  const place = await open();
  const { pieces } = blobOf(3 * megabyte);
  const blob = place.repository.beginBlob();
  for (const piece of pieces) blob.write(piece);
  await expect.poll(() => place.registry.log().length).toBe(2);
  await blob.cancel();
  expect(place.registry.openUploads).toBe(0);
  expect(place.registry.repository("app").blobs.size).toBe(0);
});

test("a signal ends it at any time", async () => {
  const place = await open();
  const { descriptor, pieces } = blobOf(3 * megabyte);
  const stop = new AbortController();
  const blob = place.repository.beginBlob({ signal: stop.signal });
  for (const piece of pieces) blob.write(piece);
  await expect.poll(() => place.registry.log().length).toBe(2);
  stop.abort();
  await blob.finish(descriptor, unread);
  expect(place.registry.repository("app").blobs.size).toBe(0);
});
