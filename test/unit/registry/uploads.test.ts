import { describe, expect, test } from "vitest";
import { digestOf, type Digest } from "../../../src/core/index.ts";
import type { Descriptor } from "../../../src/image/index.ts";
import { createHash } from "node:crypto";
import { startFakeRegistry, type FakeRegistry } from "../../support/registry.ts";
import { makeRandomImage } from "../../support/random-image.ts";
import { failureOf } from "../../support/expect-code.ts";
import {
  openTestRepository as open,
  pullContent,
  pushContent,
} from "../../support/registry-scenes.ts";

describe("chunks", () => {
  test("are the way where the whole is too large, and get smaller [R7.6, R7.7]", async () => {
    const registry = await startFakeRegistry({ maxBody: 1_100_000 });
    const image = await makeRandomImage({ layers: 1, layerSize: 3_000_000 });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    expect((await pullContent(open(registry.host), "1")).size).toBe(image.blobs.size);
    const layer = image.manifest.layers[0]?.size ?? 0;
    const ranges = rangesOf(registry).slice(-Math.ceil(layer / 1_048_576));
    expect(ranges[0]).toBe("0-1048575");
    expect(ranges.at(-1)?.split("-")[1]).toBe(String(layer - 1));
    expect(registry.openUploads).toBe(0);
  });

  test("that break are continued where the registry says [R7.8]", async () => {
    const registry = await startFakeRegistry({ maxBody: 1_100_000 });
    const image = await makeRandomImage({ layers: 1, layerSize: 3_000_000 });
    registry.addFault({ method: "PATCH", path: /./, times: 2, act: { type: "cut-upload" } });
    registry.addFault({
      method: "PATCH",
      path: /./,
      act: { type: "status", status: 416 },
    });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    expect((await pullContent(open(registry.host), "1")).size).toBe(image.blobs.size);
    const asked = registry.log().filter((line) => line.startsWith("GET /v2/app/blobs/uploads/"));
    expect(asked).toHaveLength(3);
  });

  test("of a registry that takes next to nothing fail in its words [R7.6, R7.13]", async () => {
    const registry = await startFakeRegistry({ maxBody: 1000 });
    const image = await makeRandomImage({ layers: 1, layerSize: 400_000 });
    const error = await failureOf(pushContent(open(registry.host, { access: "push" }), image, "1"));
    expect(error).toMatchObject({ code: "REGISTRY_FAILED", details: { status: 413 } });
    expect(error.hint).toContain("larger than the registry");
    expect(registry.openUploads).toBe(0);
  });

  test("are not smaller than the registry wants them [R7.7]", async () => {
    const registry = await startFakeRegistry({ maxBody: 1_100_000 });
    const headers = { "oci-chunk-min-length": "600000" };
    registry.addFault({
      method: "POST",
      path: /uploads/,
      times: 99,
      act: { type: "headers", headers },
    });
    const image = await makeRandomImage({ layers: 1, layerSize: 3_000_000 });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    expect(rangesOf(registry)).toContain("0-1048575");
  });
});

describe("odd content", () => {
  test.each([
    ["nothing", ""],
    ["an empty object", "{}"],
  ])("%s goes and comes [R7.12]", async (_name, text) => {
    const registry = await startFakeRegistry();
    const bytes = Buffer.from(text);
    const blob = { mediaType: "text/plain", digest: digestOf(bytes), size: bytes.length };
    await pushContent(open(registry.host, { access: "push" }), manifestOver([[blob, bytes]]), "1");
    expect((await pullContent(open(registry.host), "1")).get(blob.digest)).toEqual(bytes);
  });

  test("sha512 says so when the upload is opened [R7.12, R4.8]", async () => {
    const registry = await startFakeRegistry();
    const bytes = Buffer.from("by sha512");
    const digest = `sha512:${createHash("sha512").update(bytes).digest("hex")}` as Digest;
    const blob = { mediaType: "text/plain", digest, size: bytes.length };
    await pushContent(open(registry.host, { access: "push" }), manifestOver([[blob, bytes]]), "1");
    expect(registry.log()).toContain("POST /v2/app/blobs/uploads/?digest-algorithm=sha512");
    registry.addFault({ method: "GET", path: /sha512/, act: { type: "damage" } });
    const failed = failureOf(pullContent(open(registry.host), "1"));
    expect((await failed).code).toBe("DIGEST_MISMATCH");
  });

  test("a finished upload with another digest is noticed [R7.11]", async () => {
    const registry = await startFakeRegistry();
    const headers = { "docker-content-digest": digestOf("other") };
    registry.addFault({ method: "PUT", path: /uploads/, act: { type: "headers", headers } });
    const image = await makeRandomImage({ layers: 1 });
    const failed = failureOf(pushContent(open(registry.host, { access: "push" }), image, "1"));
    expect((await failed).code).toBe("REGISTRY_ANSWER_INVALID");
  });
});

describe("mounts", () => {
  test("are asked of those with the longest path in common first [R7.3]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 1 });
    for (const [digest, bytes] of image.blobs) {
      registry.repository("team/a/base").blobs.set(digest, bytes);
    }
    const mountFrom = () => Promise.resolve(["other/x", "team/b", "team/a/base", "team/a/new"]);
    const sink = open(registry.host, { path: "team/a/new", access: "push", mountFrom });
    await pushContent(sink, image, "1");
    const posts = registry.log().filter((line) => line.startsWith("POST"));
    expect(posts.every((line) => line.endsWith("from=team%2Fa%2Fbase"))).toBe(true);
    expect(registry.repository("team/a/new").blobs.size).toBe(2);
  });

  test("ask for both scopes in one token; refused, the blob is sent [R3.19]", async () => {
    const login = { scheme: "bearer" } as const;
    const registry = await startFakeRegistry({ login });
    const image = await makeRandomImage({ layers: 1 });
    const path = /uploads/;
    registry.addFault({ method: "POST", path, act: { type: "status", status: 403 } });
    const sink = open(registry.host, { access: "push", mountFrom: ["base"] });
    await pushContent(sink, image, "1");
    const tokens = registry.requests.filter(({ url }) => url.startsWith("/token"));
    const scopes = tokens.map(({ url }) => new URL(url, "http://x").searchParams.getAll("scope"));
    expect(scopes).toContainEqual(["repository:app:pull,push", "repository:base:pull"]);
    expect(registry.repository("app").blobs.size).toBe(2);
    expect(registry.openUploads).toBe(0);
  });
});

test("several tags share one upload [R7.16, R7.17]", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage({ layers: 1 });
  const sink = open(registry.host, { access: "push" });
  await pushContent(sink, image, "1");
  await pushContent(sink, image, "2");
  await pushContent(open(registry.host, { access: "push" }), image, "3");
  const posts = registry.log().filter((line) => line.startsWith("POST"));
  expect(posts).toHaveLength(2);
  expect([...registry.repository("app").tags.keys()]).toEqual(["1", "2", "3"]);
});

function rangesOf(registry: FakeRegistry): readonly string[] {
  return registry.requests.flatMap(({ method, headers }) =>
    method === "PATCH" ? [String(headers["content-range"])] : [],
  );
}

function manifestOver(content: readonly (readonly [Descriptor, Buffer])[]) {
  const [first] = content;
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const document = {
    schemaVersion: 2,
    mediaType,
    config: first?.[0],
    layers: content.map(([descriptor]) => descriptor),
  };
  const bytes = Buffer.from(JSON.stringify(document));
  const root = { mediaType, digest: digestOf(bytes), size: bytes.length };
  const blobs = new Map<Digest, Buffer>([[root.digest, bytes]]);
  for (const [{ digest }, blob] of content) blobs.set(digest, blob);
  return { root, blobs };
}

describe("whether a tag stands for the image already", () => {
  const login = { scheme: "bearer" } as const;

  test("is asked with a token for pushing, and is all that is asked [R7.20]", async () => {
    const registry = await startFakeRegistry({ login });
    const image = await makeRandomImage({ layers: 1 });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    const before = registry.log().length;
    const found = await open(registry.host, { access: "push" }).standsFor("1");
    expect(found).toBe(image.root.digest);
    const asked = registry.log().slice(before);
    expect(asked.filter((line) => !line.includes("/token"))).toEqual(
      asked.filter((line) => line === "HEAD /v2/app/manifests/1"),
    );
    const tokens = asked.filter((line) => line.includes("/token"));
    expect(tokens).toHaveLength(1);
    expect(tokens[0]).toContain(`scope=${encodeURIComponent("repository:app:pull,push")}`);
  });

  test("is not told where the token server lets nobody push [R7.20]", async () => {
    const registry = await startFakeRegistry({ login });
    const image = await makeRandomImage({ layers: 1 });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    const body = JSON.stringify({ errors: [{ code: "DENIED", message: "you may only pull" }] });
    const act = { type: "status", status: 403, body } as const;
    registry.addFault({ method: "GET", path: /token/, times: 9, act });
    const error = await failureOf(open(registry.host, { access: "push" }).standsFor("1"));
    expect(error).toMatchObject({ code: "REGISTRY_DENIED" });
    expect(error.message).toContain("you may only pull");
  });
});

describe("a registry that does not know what it took", () => {
  const body = JSON.stringify({ errors: [{ code: "MANIFEST_BLOB_UNKNOWN", message: "unknown" }] });
  const refused = { type: "status", status: 400, body } as const;

  test("gets the manifest once more when all is there after all [R7.19]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 2 });
    registry.addFault({ method: "PUT", path: /manifests\/sha256/, act: refused });
    registry.addFault({ method: "PUT", path: /manifests\/1$/, act: refused });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    expect((await pullContent(open(registry.host), "1")).size).toBe(image.blobs.size);
    expect(registry.log().filter((line) => line.startsWith("POST"))).toHaveLength(3);
  });

  test("gets again what it lost, and nothing else [R7.19]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage({ layers: 2 });
    const { digest } = image.manifest.layers[1] ?? image.manifest.config;
    loseOnce(registry, digest);
    registry.addFault({ method: "PUT", path: /manifests\/sha256/, act: refused });
    await pushContent(open(registry.host, { access: "push" }), image, "1");
    expect((await pullContent(open(registry.host), "1")).size).toBe(image.blobs.size);
    expect(registry.log().filter((line) => line.startsWith("POST"))).toHaveLength(4);
    const uploads = registry.log().filter((line) => line.includes(encodeURIComponent(digest)));
    expect(uploads).toHaveLength(2);
  });

  test.each([["sha256"], ["1$"]])(
    "is believed the second time, at PUT of %s [R7.19]",
    async (label) => {
      const registry = await startFakeRegistry();
      const image = await makeRandomImage({ layers: 1 });
      registry.addFault({
        method: "PUT",
        path: new RegExp(`manifests/${label}`),
        times: 9,
        act: refused,
      });
      const error = await failureOf(
        pushContent(open(registry.host, { access: "push" }), image, "1"),
      );
      expect(error.code).toBe("REGISTRY_FAILED");
      expect(error.hint).toContain("did not know it");
      const puts = registry.log().filter((line) => /^PUT .*manifests/.test(line));
      expect(puts.filter((line) => new RegExp(label).test(line))).toHaveLength(2);
    },
  );
});

/** The registry says that it took the blob, and does not have it. */
function loseOnce(registry: FakeRegistry, lost: Digest): void {
  const { blobs } = registry.repository("app");
  const keep = blobs.set.bind(blobs);
  blobs.set = (digest, bytes) => {
    if (digest !== lost) return keep(digest, bytes);
    blobs.set = keep;
    return blobs;
  };
}
