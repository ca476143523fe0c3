import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { digestOf, mediaTypes, type Digest } from "../../../src/core/index.ts";
import { copyGraph, serializeManifest, type Descriptor } from "../../../src/image/index.ts";
import {
  openRegistry,
  type Credentials,
  type OpenRegistryOptions,
  type RegistryRepository,
} from "../../../src/registry/index.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { MemoryPlace } from "../../support/memory-place.ts";
import { makeRandomImage, makeRandomIndex, type RandomImage } from "../../support/random-image.ts";
import { startFakeRegistry, type FakeRegistry } from "../../support/registry.ts";
import { failureOf } from "../../support/expect-code.ts";

const retry = { attempts: 3, firstDelay: 1 };
const me: Credentials = { type: "password", username: "me", password: "top-secret" };

describe("requests", () => {
  test("a new image needs no more of them than its content [R7.1, R7.4, R7.6, R7.9]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 1 });
    const repository = open(registry, { access: "push" });
    await pushTo(repository, image, "1");
    const layer = image.manifest.layers[0]?.digest ?? "";
    const shape = registry.log().map((line) => line.replace(/uploads\/\d+.*/, "uploads/N"));
    expect(shape.sort()).toEqual(
      [
        `HEAD /v2/app/manifests/${image.root.digest}`,
        ...[layer, image.manifest.config.digest].flatMap((digest) => [
          `HEAD /v2/app/blobs/${digest}`,
          "POST /v2/app/blobs/uploads/",
          "PUT /v2/app/blobs/uploads/N",
        ]),
        `PUT /v2/app/manifests/${image.root.digest}`,
        "PUT /v2/app/manifests/1",
      ].sort(),
    );
  });

  test("an image that is there needs two [R7.2]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    await pushTo(open(registry, { access: "push" }), image, "1");
    registry.requests.length = 0;
    const repository = open(registry, { access: "push" });
    const source = new MemoryPlace("empty");
    await copyGraph({ source, sink: repository, root: image.root });
    expect(registry.log()).toEqual([`HEAD /v2/app/manifests/${image.root.digest}`]);
  });

  test("a layer of another repository is linked, not sent [R7.3]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    for (const [digest, bytes] of image.blobs) registry.repository("base").blobs.set(digest, bytes);
    await pushTo(open(registry, { access: "push", mountFrom: ["base"] }), image, "1");
    expect(registry.log().filter((line) => line.startsWith("PUT /v2/app/blobs"))).toEqual([]);
    expect(registry.repository("app").blobs.size).toBe(3);
  });

  test("a layer that the other repository lacks is sent into the upload that the question opened [R7.3]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 1 });
    await pushTo(open(registry, { access: "push", mountFrom: ["base"] }), image, "1");
    expect(registry.log().filter((line) => line.startsWith("POST")).length).toBe(2);
    expect(registry.openUploads).toBe(0);
  });

  test.each(["absolute", "relative", "query"] as const)(
    "uploads go to %s addresses [R7.10]",
    async (kind) => {
      const registry = await startFakeRegistry({ uploadLocation: kind });
      const image = await makeRandomImage({ layers: 1, layerSize: 500_000 });
      await pushTo(open(registry, { access: "push" }), image, "1");
      expect(registry.repository("app").blobs.size).toBe(2);
      if (kind !== "query") return;
      const put = registry.log().find((line) => line.startsWith("PUT /v2/app/blobs"));
      expect(put).toContain("&opaque=a%2Fb+c%3D%3d&digest=sha256%3A");
    },
  );

  test("tags come in pages [R4.16]", async () => {
    const registry = await startFakeRegistry();
    const names = ["a", "b", "c", "d", "e"];
    for (const name of names) registry.repository("app").tags.set(name, "x");
    const found: string[] = [];
    for await (const tag of open(registry).listTags()) found.push(tag);
    expect(found).toEqual(names);
  });
});

describe("names", () => {
  test("a tag, a digest and a whole reference are the same thing", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    await pushTo(open(registry, { access: "push" }), image, "latest");
    const repository = open(registry);
    const name = `${registry.host}/app`;
    const { digest } = image.root;
    for (const same of ["latest", digest, name, `${name}:latest`, `${name}:other@${digest}`]) {
      expect((await repository.resolve(same))?.digest).toBe(digest);
    }
    expect(await repository.resolve("missing")).toBeUndefined();
    expect(await failureOf(repository.resolve("docker.io/app"))).toMatchObject({
      code: "REGISTRY_FAILED",
    });
  });

  test("without a digest header, or without HEAD, the document itself tells [R4.4]", async () => {
    const image = await makeRandomImage();
    for (const status of [undefined, 405]) {
      const registry = await startFakeRegistry({ withoutDigestHeader: true });
      await pushTo(open(registry, { access: "push" }), image, "1");
      if (status !== undefined) {
        registry.addFault({ method: "HEAD", path: /manifests/, act: { type: "status", status } });
      }
      expect(await open(registry).resolve("1")).toEqual({
        mediaType: image.root.mediaType,
        digest: image.root.digest,
        size: image.root.size,
      });
    }
  });

  test("schema 1 is refused by its name [R4.1, R4.2]", async () => {
    const registry = await startFakeRegistry();
    const bytes = Buffer.from('{"schemaVersion":1,"fsLayers":[]}');
    const { manifests, tags } = registry.repository("app");
    manifests.set(digestOf(bytes), { type: mediaTypes.dockerSchema1Signed, bytes });
    tags.set("old", digestOf(bytes));
    expect(await failureOf(open(registry).resolve("old"))).toMatchObject({ code: "IMAGE_SCHEMA1" });
  });
});

describe("faults on the way", () => {
  test.each([408, 429, 500, 502, 503, 504])("a passing %i is outlived [R6.1]", async (status) => {
    const { registry, image } = await filled();
    for (const path of [/manifests/, /blobs/]) {
      for (const method of ["GET", "HEAD"]) {
        registry.addFault({ method, path, times: 2, act: { type: "status", status } });
      }
    }
    expectSame(await pull(registry), image);
  });

  test("the wish of Retry-After is obeyed [R6.2]", async () => {
    const { registry, image } = await filled();
    const headers = { "retry-after": "1" };
    const act = { type: "status", status: 429, headers } as const;
    registry.addFault({ method: "HEAD", path: /manifests/, act });
    const started = performance.now();
    expect((await open(registry).resolve("1"))?.digest).toBe(image.root.digest);
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  test("a lasting failure is told after as many tries as allowed [R6.1, R3.25]", async () => {
    const { registry } = await filled();
    const body = '{"errors":[{"code":"X","message":"disk\\u001b[31m full"}]}';
    const act = { type: "status", status: 500, body } as const;
    registry.addFault({ method: "GET", path: /manifests/, times: 99, act });
    registry.requests.length = 0;
    const error = await failureOf(pull(registry));
    expect(error).toMatchObject({
      code: "REGISTRY_FAILED",
      details: { status: 500, side: "source" },
    });
    expect(error.message).toContain("disk [31m full");
    expect(registry.log().filter((line) => line.startsWith("GET")).length).toBe(3);
  });

  test("cut connections are outlived [R6.1]", async () => {
    const { registry, image } = await filled();
    for (const method of ["GET", "HEAD"]) {
      registry.addFault({ method, path: /./, times: 2, act: { type: "cut" } });
    }
    expectSame(await pull(registry), image);
  });

  test.each([false, true])(
    "an interrupted download goes on where it broke off (ranges ignored: %s) [R4.11]",
    async (ignoreRanges) => {
      const { registry, image } = await filled({ ignoreRanges });
      const after = 150_000;
      registry.addFault({
        method: "GET",
        path: /blobs/,
        times: 2,
        act: { type: "truncate", after },
      });
      expectSame(await pull(registry), image);
      const ranges = registry.requests.map(({ headers }) => headers.range).filter(Boolean);
      expect(ranges.length).toBeGreaterThan(0);
      expect(ranges).not.toContain("bytes=0-");
    },
  );

  test("another range than asked for is refused [R4.11]", async () => {
    const { registry, image } = await filled();
    const path = new RegExp(image.manifest.layers[0]?.digest ?? "");
    registry.addFault({ method: "GET", path, act: { type: "truncate", after: 150_000 } });
    const headers = { "content-range": "bytes 7-9/10" };
    registry.addFault({ method: "GET", path, act: { type: "headers", headers } });
    const failed = pull(registry);
    expect(await failureOf(failed)).toMatchObject({ code: "REGISTRY_ANSWER_INVALID" });
  });

  test("damaged content is noticed [R4.8]", async () => {
    const { registry } = await filled();
    registry.addFault({ method: "GET", path: /blobs/, act: { type: "damage" } });
    expect(await failureOf(pull(registry))).toMatchObject({ code: "DIGEST_MISMATCH" });
  });

  test("a registry that lies about a tag's digest is noticed [R4.5]", async () => {
    const { registry, image } = await filled();
    const headers = { "docker-content-digest": image.manifest.config.digest };
    registry.addFault({ method: "HEAD", path: /manifests/, act: { type: "headers", headers } });
    expect(await failureOf(pull(registry))).toMatchObject({ details: { side: "source" } });
  });

  test.each([
    ["cut in the middle", { type: "cut-upload" }],
    ["refused for the moment", { type: "status", status: 503 }],
    ["lost by the registry", { type: "status", status: 404 }],
  ] as const)("an upload that is %s is sent again [R6.4]", async (_name, act) => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 2, layerSize: 600_000 });
    registry.addFault({ method: "PUT", path: /blobs/, times: 2, act });
    await pushTo(open(registry, { access: "push" }), image, "1");
    expectSame(await pull(registry), image);
    expect(registry.openUploads).toBe(0);
  });

  test("a manifest that the registry stores as something else is noticed [R7.11]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    const headers = { "docker-content-digest": digestOf("other") };
    registry.addFault({ method: "PUT", path: /manifests/, act: { type: "headers", headers } });
    const failed = pushTo(open(registry, { access: "push" }), image, "1");
    expect(await failureOf(failed)).toMatchObject({
      code: "REGISTRY_ANSWER_INVALID",
      details: { side: "sink" },
    });
  });

  test("content that a server compresses on the way is what it was [R4.13]", async () => {
    const bytes = Buffer.from("plain ".repeat(1000));
    const { gzipSync } = await import("node:zlib");
    const server = await startLocalServer((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(bytes));
    });
    const repository = open({ host: new URL(server.origin).host });
    const descriptor = { mediaType: "text/plain", digest: digestOf(bytes), size: bytes.length };
    expect(await text(await repository.fetch(descriptor))).toBe(bytes.toString());
  });

  test("nobody there is REGISTRY_UNREACHABLE, at once [R6.4]", async () => {
    const server = await startLocalServer(() => undefined);
    await server.close();
    const repository = open({ host: new URL(server.origin).host });
    expect(await failureOf(repository.resolve("1"))).toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      details: { reason: "ECONNREFUSED", host: new URL(server.origin).host },
    });
  });

  test("an abort while waiting is CANCELED", async () => {
    const { registry } = await filled();
    const act = { type: "status", status: 429, headers: { "retry-after": "30" } } as const;
    registry.addFault({ method: "HEAD", path: /manifests/, times: 9, act });
    const abort = new AbortController();
    const failed = open(registry).resolve("1", abort.signal);
    setTimeout(() => abort.abort(), 20);
    expect(await failureOf(failed)).toMatchObject({ code: "CANCELED" });
  });

  test("an abort in the middle of a push ends it and cancels its uploads [R7.15]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 1, layerSize: 3_000_000 });
    const abort = new AbortController();
    const failed = copyGraph({
      source: new MemoryPlace("test", image.blobs),
      sink: open(registry, { access: "push" }),
      root: image.root,
      signal: abort.signal,
      onProgress: ({ current, done }) => {
        if (current > 500_000 && !done) abort.abort();
      },
    });
    expect(await failureOf(failed)).toMatchObject({ code: "CANCELED" });
    expect(registry.openUploads).toBe(0);
    expect(registry.repository("app").tags.size).toBe(0);
  });
});

describe("login", () => {
  test("anybody may read what a token server opens to everybody", async () => {
    const { registry, image } = await filled({ login: { scheme: "bearer" } });
    expectSame(await pull(registry), image);
  });

  test("one token serves many requests [R3.11, R3.17, R3.10]", async () => {
    const login = { scheme: "bearer", username: "me", password: "top-secret" } as const;
    const { registry, image } = await filled({ login });
    registry.requests.length = 0;
    expectSame(await pull(registry), image);
    const tokens = registry.requests.filter(({ url }) => url.startsWith("/token"));
    expect(tokens.map(({ url }) => url)).toEqual([
      "/token?service=fake%2C+inc&scope=repository%3Aapp%3Apull",
    ]);
  });

  test("a token that expires in the middle is replaced [R3.20]", async () => {
    const login = {
      scheme: "bearer",
      username: "me",
      password: "top-secret",
      tokenUses: 3,
    } as const;
    const { registry, image } = await filled({ login });
    expectSame(await pull(registry), image);
  });

  test("an identity token is traded for access [R3.12]", async () => {
    const login = { scheme: "bearer", identityToken: "identity" } as const;
    const registry = await startFakeRegistry({ login });
    const image = await makeRandomImage();
    const credentials = given({ type: "identity-token", token: "identity" });
    await pushTo(open(registry, { access: "push", credentials }), image, "1");
    expect(registry.log()).toContain("POST /token");
  });

  test("basic is enough where nothing else is asked", async () => {
    const login = { scheme: "basic", username: "me", password: "top-secret" } as const;
    const { registry, image } = await filled({ login });
    expectSame(await pull(registry), image);
  });

  test.each(["basic", "bearer"] as const)(
    "wrong and missing %s credentials are told",
    async (scheme) => {
      const login = { scheme, username: "me", password: "top-secret" } as const;
      const registry = await startFakeRegistry({ login });
      const wrong = given({ type: "password", username: "me", password: "guessed-wrong" });
      for (const credentials of [wrong, () => Promise.resolve(undefined)]) {
        const error = await failureOf(open(registry, { credentials }).resolve("1"));
        expect(error).toMatchObject({ code: "REGISTRY_UNAUTHORIZED", details: { status: 401 } });
        expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain("guessed");
      }
      expect(registry.requests.length).toBeLessThan(12);
    },
  );

  test("secrets that a registry repeats are not shown [R3.24]", async () => {
    const login = { scheme: "basic", username: "me", password: "top-secret" } as const;
    const { registry } = await filled({ login });
    const body = '{"errors":[{"code":"DENIED","message":"not with top-secret"}]}';
    const act = { type: "status", status: 403, body } as const;
    const repository = open(registry, { credentials: given(me) });
    await repository.resolve("1");
    registry.addFault({ method: "GET", path: /manifests/, act });
    const error = await failureOf(repository.fetch((await filled()).image.root));
    expect(error.code).toBe("REGISTRY_DENIED");
    expect(error.message).toContain("not with ***");
  });

  test("credentials stay with the registry when blobs are elsewhere [R3.21, R4.14]", async () => {
    const login = { scheme: "basic", username: "me", password: "top-secret" } as const;
    const { registry, image } = await filled({ login, redirectBlobs: true });
    expectSame(await pull(registry), image);
    const signed = registry.requests.filter(({ url }) => url.includes("signature"));
    expect(signed.length).toBe(3);
    expect(signed.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  test("a token server inside our own network is refused [R3.23]", async () => {
    const registry = await startFakeRegistry();
    const headers = {
      "www-authenticate": 'Bearer realm="http://169.254.169.254/latest",service="x"',
    };
    registry.addFault({ method: "HEAD", path: /./, act: { type: "status", status: 401, headers } });
    expect(await failureOf(open(registry).resolve("1"))).toMatchObject({
      code: "REGISTRY_TARGET_REFUSED",
      details: { target: "169.254.169.254" },
    });
  });

  test("a redirect and an upload into our own network are refused [R3.23]", async () => {
    const { registry, image } = await filled();
    const headers = { location: "http://10.1.2.3/x" };
    registry.addFault({
      method: "GET",
      path: /blobs/,
      act: { type: "status", status: 307, headers },
    });
    registry.addFault({ method: "POST", path: /blobs/, act: { type: "headers", headers } });
    const expected = { code: "REGISTRY_TARGET_REFUSED", details: { target: "10.1.2.3" } };
    const [layer = image.root] = image.manifest.layers;
    expect(await failureOf(open(registry).fetch(layer))).toMatchObject(expected);
    const other = await makeRandomImage({ seed: "other" });
    const pushed = pushTo(open(registry, { access: "push" }), other, "2");
    expect(await failureOf(pushed)).toMatchObject(expected);
  });
});

test("unknown fields of documents survive a copy [R7.13]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage();
  const text = serializeManifest(image.manifest).toString().replace("{", '{ "custom": { "a": 1 },');
  const bytes = Buffer.from(text);
  const root: Descriptor = { ...image.root, digest: digestOf(bytes), size: bytes.length };
  const blobs = new Map(image.blobs).set(root.digest, bytes);
  await pushTo(open(registry, { access: "push" }), { root, blobs }, "1");
  expect(registry.repository("app").manifests.get(root.digest)?.bytes).toEqual(bytes);
});

test("warnings of the registry are told once, without control characters [R4.17]", async () => {
  const { registry } = await filled();
  const headers = { warning: '299 - "will \\"close\\" \u0085soon"' };
  const act = { type: "headers", headers } as const;
  registry.addFault({ method: "HEAD", path: /manifests/, times: 2, act });
  const told: string[] = [];
  const repository = open(registry, { onWarning: (text) => told.push(text) });
  await repository.resolve("1");
  await repository.resolve("1");
  expect(told).toEqual(['will "close"  soon']);
});

test("an index of many images comes and goes as a whole", async () => {
  const registry = await startFakeRegistry();
  const index = await makeRandomIndex(["linux/amd64", "linux/arm64"]);
  await pushTo(open(registry, { access: "push" }), index, "1");
  expectSame(await pull(registry), index);
});

function open(
  registry: Pick<FakeRegistry, "host">,
  options: Partial<OpenRegistryOptions> = {},
): RegistryRepository {
  const repository = openRegistry({
    reference: { domain: registry.host, path: "app" },
    access: "pull",
    retry: { attempts: 3, baseDelay: 1 },
    credentials: given(me),
    ...options,
  });
  onTestFinished(() => repository.close());
  return repository;
}

function given(credentials: Credentials) {
  return () => Promise.resolve({ credentials, origin: "test" });
}

async function filled(options: Parameters<typeof startFakeRegistry>[0] = {}) {
  const registry = await startFakeRegistry(options);
  const image = await makeRandomImage({ layers: 2, layerSize: 400_000 });
  await pushTo(open(registry, { access: "push" }), image, "1");
  return { registry, image };
}

async function pushTo(sink: RegistryRepository, image: RandomImage, tag: string): Promise<void> {
  const source = new MemoryPlace("test", image.blobs);
  const { root } = await copyGraph({ source, sink, root: image.root, retry });
  await sink.tag(tag, root);
}

/** By content; comparing large Buffers member by member takes seconds. */
function expectSame(found: ReadonlyMap<Digest, Buffer>, { blobs }: RandomImage): void {
  expect([...found.keys()].sort()).toEqual([...blobs.keys()].sort());
  for (const [digest, bytes] of found) expect(digestOf(bytes)).toBe(digest);
}

async function pull(registry: FakeRegistry): Promise<ReadonlyMap<Digest, Buffer>> {
  const source = open(registry);
  const root = await source.resolve("1");
  if (root === undefined) throw new Error("not there");
  const sink = new MemoryPlace("test");
  await copyGraph({ source, sink, root, retry });
  return sink.blobs;
}
