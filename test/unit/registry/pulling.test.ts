import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { startFakeRegistry } from "../../support/registry.ts";
import { makeRandomImage } from "../../support/random-image.ts";
import { failureOf } from "../../support/expect-code.ts";
import {
  given,
  me,
  openTestRepository as open,
  pullContent,
  pushContent,
} from "../../support/registry-scenes.ts";

test("a manifest that is kept among the blobs is found there [R4.6]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage();
  await pushContent(open(registry.host, { access: "push" }), image, "1");
  const { manifests, blobs } = registry.repository("app");
  const bytes = manifests.get(image.root.digest)?.bytes ?? Buffer.alloc(0);
  manifests.delete(image.root.digest);
  blobs.set(image.root.digest, bytes);
  expect(await text(await open(registry.host).fetch(image.root))).toBe(bytes.toString());
});

test("a length that cannot be right is told before anything is read [R4.8]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage({ layers: 1 });
  await pushContent(open(registry.host, { access: "push" }), image, "1");
  const [layer = image.root] = image.manifest.layers;
  const failed = open(registry.host).fetch({ ...layer, size: layer.size + 1 });
  expect(await failureOf(failed)).toMatchObject({
    code: "REGISTRY_ANSWER_INVALID",
    details: { expected: layer.size + 1, found: layer.size },
  });
});

test("a blob that is gzip itself and said to be coded so stays as it is [R4.13]", async () => {
  const bytes = gzipSync("a layer ".repeat(100));
  const server = await startLocalServer((_request, response) => {
    const length = String(bytes.length);
    response.writeHead(200, { "content-encoding": "gzip", "content-length": length }).end(bytes);
  });
  const blob = { mediaType: "text/plain", digest: digestOf(bytes), size: bytes.length };
  const content = await open(new URL(server.origin).host).fetch(blob);
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk as Buffer);
  expect(digestOf(Buffer.concat(chunks))).toBe(blob.digest);
});

describe("a small document that breaks off in the middle is asked for again [R4.11, R6.1]", () => {
  const broken = { type: "truncate", after: 20 } as const;

  async function pullOver(times: number, path: RegExp) {
    const registry = await startFakeRegistry({
      login: { scheme: "bearer", username: "me", password: "top-secret" },
    });
    const credentials = given(me);
    const image = await makeRandomImage();
    await pushContent(open(registry.host, { access: "push", credentials }), image, "1");
    registry.addFault({ method: "GET", path, times, act: broken });
    const pulling = pullContent(open(registry.host, { credentials }), "1");
    return { image, pulling };
  }

  const documents = [
    ["a manifest", /manifests\/sha256/],
    ["a token", /\/token/],
  ] as const;

  test.each(documents)("%s, twice", async (_what, path) => {
    const { image, pulling } = await pullOver(2, path);
    expect((await pulling).size).toBe(image.blobs.size);
  });

  test.each(documents)("%s, each time", async (_what, path) => {
    const { pulling } = await pullOver(9, path);
    expect((await failureOf(pulling)).code).toBe("REGISTRY_UNREACHABLE");
  });

  test("a page of tags", async () => {
    const registry = await startFakeRegistry();
    await pushContent(open(registry.host, { access: "push" }), await makeRandomImage(), "v1");
    registry.addFault({ method: "GET", path: /tags\/list/, times: 2, act: broken });
    const tags: string[] = [];
    for await (const tag of open(registry.host).listTags()) tags.push(tag);
    expect(tags).toEqual(["v1"]);
  });
});

test("416 begins anew [R4.11]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage({ layers: 1, layerSize: 400_000 });
  await pushContent(open(registry.host, { access: "push" }), image, "1");
  const path = new RegExp(image.manifest.layers[0]?.digest ?? "");
  registry.addFault({ method: "GET", path, act: { type: "truncate", after: 150_000 } });
  registry.addFault({ method: "GET", path, act: { type: "status", status: 416 } });
  const found = await pullContent(open(registry.host), "1");
  expect(found.size).toBe(image.blobs.size);
});

test("a blob that ends too early goes on, although nobody said how long it is [R4.11]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage({ layers: 1, layerSize: 400_000, compression: "none" });
  await pushContent(open(registry.host, { access: "push" }), image, "1");
  const [layer = image.root] = image.manifest.layers;
  const bytes = registry.repository("app").blobs.get(layer.digest) ?? Buffer.alloc(0);
  const server = await startLocalServer((request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
    const range = `bytes ${String(start)}-${String(bytes.length - 1)}/${String(bytes.length)}`;
    response.writeHead(start === 0 ? 200 : 206, start === 0 ? {} : { "content-range": range });
    response.end(bytes.subarray(start, start + 150_000));
  });
  const content = await open(new URL(server.origin).host).fetch(layer);
  expect(digestOf(await buffer(content))).toBe(layer.digest);
  expect(server.requests.filter((line) => line.includes("blobs"))).toHaveLength(3);
});

test("progress makes patience new [R4.12]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage({ layers: 1, layerSize: 8_000_000 });
  await pushContent(open(registry.host, { access: "push" }), image, "1");
  const path = new RegExp(image.manifest.layers[0]?.digest ?? "");
  // Five failures are more than three tries, but each got more than a MiB further.
  const act = { type: "truncate", after: 1_300_000 } as const;
  registry.addFault({ method: "GET", path, times: 5, act });
  const found = await pullContent(open(registry.host), "1");
  expect(found.size).toBe(image.blobs.size);
});

describe("urls of a descriptor", () => {
  const bytes = Buffer.from("foreign layer");

  async function fetchBlob(urls: readonly string[]) {
    const registry = await startFakeRegistry({
      login: { scheme: "basic", username: "me", password: "top-secret" },
    });
    const credentials = () =>
      Promise.resolve({
        credentials: { type: "password", username: "me", password: "top-secret" } as const,
        origin: "test",
      });
    const repository = open(registry.host, { credentials });
    const blob = { mediaType: "text/plain", digest: digestOf(bytes), size: bytes.length, urls };
    return { registry, content: repository.fetch(blob) };
  }

  test("are asked when the registry does not have it, without credentials [R4.10]", async () => {
    const elsewhere = await startLocalServer((_request, response) => void response.end(bytes));
    const { content } = await fetchBlob(["ftp://x/y", `${elsewhere.origin}/layer`]);
    expect(await text(await content)).toBe(bytes.toString());
    expect(elsewhere.messages[0]?.headers.authorization).toBeUndefined();
  });

  test("do not lead into our own network; what none has is not found [R4.10]", async () => {
    const inside = (await fetchBlob(["http://169.254.169.254/latest"])).content;
    expect((await failureOf(inside)).code).toBe("REGISTRY_TARGET_REFUSED");
    const gone = await startLocalServer((_request, response) => {
      response.writeHead(404).end();
    });
    const missing = (await fetchBlob([gone.origin])).content;
    expect((await failureOf(missing)).code).toBe("REGISTRY_NOT_FOUND");
  });
});

describe("patience", () => {
  test("a wish to wait holds for all requests to the host, and is told [R6.2, R6.3]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    const act = { type: "status", status: 429, headers: { "retry-after": "2" } } as const;
    registry.addFault({ method: "HEAD", path: /manifests/, act });
    const told: string[] = [];
    const first = open(registry.host, { onWarning: (line) => told.push(line) });
    const started = performance.now();
    const resolved = first.resolve("1");
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await open(registry.host).resolve(image.root.digest);
    expect(performance.now() - started).toBeGreaterThan(1900);
    expect((await resolved)?.digest).toBe(image.root.digest);
    expect(told).toEqual(["answers 429: trying again in 2 s"]);
  });

  test("of an upload that is not repeated holds for the next one [R6.2, R6.3]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 1, layerSize: 400_000, compression: "none" });
    const headers = { "retry-after": "2" };
    const act = { type: "status", status: 429, headers } as const;
    const path = /uploads/;
    const told: string[] = [];
    const sink = open(registry.host, { access: "push", onWarning: (line) => told.push(line) });
    // What is small can be repeated: it may not come first.
    const { config } = image.manifest;
    await sink.push(config, Readable.from([image.blobs.get(config.digest)]));
    registry.addFault({ method: "PUT", path, act });
    const started = performance.now();
    await pushContent(sink, image, "1");
    expect(performance.now() - started).toBeGreaterThan(1900);
    expect(told).toEqual(["answers 429: nothing is asked of it for 2 s"]);
  });

  test("after the last try nobody is told to wait [R6.2]", async () => {
    const registry = await startFakeRegistry();
    const act = { type: "status", status: 503 } as const;
    const wish = { ...act, headers: { "retry-after": "60" } };
    for (const each of [act, wish]) {
      registry.addFault({ method: "GET", path: /tags/, act: each });
    }
    const told: string[] = [];
    const retry = { attempts: 2, baseDelay: 1 };
    const repository = open(registry.host, { retry, onWarning: (line) => told.push(line) });
    const tags = (): Promise<unknown> => repository.listTags()[Symbol.asyncIterator]().next();
    expect((await failureOf(tags())).code).toBe("REGISTRY_FAILED");
    expect(await tags()).toMatchObject({ done: true });
    expect(told).toEqual([]);
  });

  test("what is left of a limit is told when it is used up [R6.5]", async () => {
    const registry = await startFakeRegistry();
    const headers = { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600" };
    const act = { type: "status", status: 429, headers } as const;
    registry.addFault({ method: "GET", path: /tags/, times: 9, act });
    const tags = open(registry.host).listTags();
    const error = await failureOf(tags[Symbol.asyncIterator]().next());
    expect(error).toMatchObject({
      code: "REGISTRY_LIMITED",
      details: { rateLimit: { limit: "100", remaining: "0" } },
    });
    expect(error.hint).toContain("0 of 100 requests are left");
  });
});
