import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { digestOf, openHttpClient } from "../../../src/core/index.ts";
import type { RegistrySettings } from "../../../src/registry/index.ts";
import { startFakeRegistry, type FakeRegistry } from "../../support/registry.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { makeRandomImage } from "../../support/random-image.ts";
import { failureOf } from "../../support/expect-code.ts";
import {
  given,
  me,
  openTestRepository as open,
  pullContent,
  pushContent,
} from "../../support/registry-scenes.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

describe("mirrors", () => {
  test("are asked first, the registry only for what they lack [R2.13, R2.16]", async () => {
    const { registry, mirror, image, settings } = await mirrored();
    const [layer] = image.manifest.layers;
    mirror.repository("app").blobs.delete(layer?.digest ?? "");
    registry.requests.length = 0;
    const found = await pullContent(open(registry.host, { settings }), "1");
    expect(found.size).toBe(image.blobs.size);
    expect(registry.log()).toEqual([`GET /v2/app/blobs/${layer?.digest ?? ""}`]);
    expect(mirror.log()[0]).toBe("HEAD /v2/app/manifests/1");
  });

  test("that are gone, or refuse us, are passed over [R2.16]", async () => {
    const { registry, image } = await mirrored();
    const closed = "127.0.0.1:1";
    const angry = await startLocalServer((_request, response) => {
      response.writeHead(403).end();
    });
    const settings = await settingsFor(registry.host, [closed, new URL(angry.origin).host]);
    const found = await pullContent(open(registry.host, { settings }), "1");
    expect(found.size).toBe(image.blobs.size);
  });

  test("do not hide what the registry says [R2.16]", async () => {
    const { registry, settings } = await mirrored();
    const repository = open(registry.host, { settings });
    expect(await repository.resolve("missing")).toBeUndefined();
    const descriptor = { mediaType: "text/plain", digest: digestOf("x"), size: 1 };
    expect((await failureOf(repository.fetch(descriptor))).code).toBe("REGISTRY_NOT_FOUND");
  });

  test("take over a download that breaks for good [R2.16]", async () => {
    const { registry, mirror, image, settings } = await mirrored();
    const path = new RegExp(image.manifest.layers[0]?.digest ?? "");
    mirror.addFault({ method: "GET", path, act: { type: "truncate", after: 150_000 } });
    mirror.addFault({ method: "GET", path, times: 99, act: { type: "cut" } });
    const found = await pullContent(open(registry.host, { settings }), "1");
    expect(found.size).toBe(image.blobs.size);
    const ranges = registry.requests.map(({ headers }) => headers.range).filter(Boolean);
    expect(ranges.length).toBeGreaterThan(0);
  });

  test("with a wrong byte are not believed again [R2.16]", async () => {
    const { registry, mirror, image, settings } = await mirrored();
    const [layer] = image.manifest.layers;
    const path = new RegExp(layer?.digest ?? "");
    mirror.addFault({ method: "GET", path, times: 9, act: { type: "damage" } });
    const repository = open(registry.host, { settings });
    const found = await pullContent(repository, "1");
    expect([...found.keys()].sort()).toEqual([...image.blobs.keys()].sort());
    expect(registry.log()).toContain(`GET /v2/app/blobs/${layer?.digest ?? ""}`);
    const asked = mirror.requests.length;
    await pullContent(repository, "1");
    expect(mirror.requests).toHaveLength(asked);
  });

  test("with another manifest than was asked for are passed over [R2.16]", async () => {
    const { registry, mirror, image, settings } = await mirrored();
    const path = new RegExp(`manifests/${image.root.digest}`);
    mirror.addFault({ method: "GET", path, times: 9, act: { type: "damage" } });
    const found = await pullContent(open(registry.host, { settings }), "1");
    expect(found.size).toBe(image.blobs.size);
    expect(registry.log()).toContain(`GET /v2/app/manifests/${image.root.digest}`);
  });

  test.each([true, false])(
    "with half a blob are passed over (length told: %s) [R2.16]",
    async (isTold) => {
      const { registry, mirror, image, settings } = await mirrored();
      const digest = image.manifest.layers[0]?.digest ?? image.root.digest;
      const { blobs } = mirror.repository("app");
      blobs.set(digest, blobs.get(digest)?.subarray(0, 200_000) ?? Buffer.alloc(0));
      const headers = { "content-length": "" };
      const act = { type: "headers", headers } as const;
      if (!isTold) mirror.addFault({ method: "GET", path: new RegExp(digest), times: 9, act });
      const found = await pullContent(open(registry.host, { settings }), "1");
      expect([...found.keys()].sort()).toEqual([...image.blobs.keys()].sort());
    },
  );

  test("that break again and again leave the rest to the registry [R2.16]", async () => {
    const { registry, mirror, image, settings } = await mirrored();
    const path = new RegExp(image.manifest.layers[0]?.digest ?? "");
    mirror.addFault({ method: "GET", path, times: 99, act: { type: "truncate", after: 1000 } });
    const found = await pullContent(open(registry.host, { settings }), "1");
    expect(found.size).toBe(image.blobs.size);
    const ranges = registry.requests.map(({ headers }) => headers.range).filter(Boolean);
    expect(ranges).toEqual(["bytes=2000-"]);
  });

  test.each([0, 1000])("that fall silent after %i bytes are asked once [R2.16]", async (after) => {
    const { registry, image } = await mirrored();
    const [layer] = image.manifest.layers;
    const bytes = image.blobs.get(layer?.digest ?? image.root.digest) ?? Buffer.alloc(0);
    const silent = await startLocalServer((request, response) => {
      if (request.url === "/v2/") return void response.end("{}");
      if (request.url?.includes(layer?.digest ?? "") !== true) {
        return void response.writeHead(404).end();
      }
      if (after > 0) response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, after));
    });
    const settings = await settingsFor(registry.host, [new URL(silent.origin).host]);
    // Much more than an honest answer takes.
    const client = openHttpClient({ idleTimeout: 2000 });
    onTestFinished(() => client.close());
    const found = await pullContent(open(registry.host, { settings, client }), "1");
    expect(found.size).toBe(image.blobs.size);
    const asked = silent.requests.filter((request) => request.includes(layer?.digest ?? ""));
    expect(asked).toHaveLength(1);
  });

  test("never get what is written [R2.15]", async () => {
    const { registry, mirror, settings } = await mirrored();
    mirror.requests.length = 0;
    const image = await makeRandomImage({ seed: "new" });
    const sink = open(registry.host, { access: "push", settings });
    await pushContent(sink, image, "2");
    await failureOf(sink.deleteTag("2"));
    await sink.listReferrers(image.root.digest);
    expect(mirror.log()).toEqual([]);
  });

  test("are asked for tags or digests only where they are meant so [R2.13]", async () => {
    const { registry, mirror, image } = await mirrored();
    for (const [kind, asked] of [
      ["digest-only", false],
      ["tag-only", true],
    ] as const) {
      const settings = await settingsFor(registry.host, [mirror.host], kind);
      mirror.requests.length = 0;
      await pullContent(open(registry.host, { settings }), "1");
      expect(mirror.log().includes("HEAD /v2/app/manifests/1")).toBe(asked);
      const byDigest = `GET /v2/app/manifests/${image.root.digest}`;
      expect(mirror.log().includes(byDigest)).toBe(!asked);
    }
  });

  test("of hosts.toml are told whose content is wanted, and get their own credentials [R2.17]", async () => {
    const login = { scheme: "basic", username: "me", password: "top-secret" } as const;
    const registry = await startFakeRegistry({ login });
    const image = await makeRandomImage({ layers: 1 });
    await pushContent(open(registry.host, { access: "push", credentials: given(me) }), image, "1");
    const mirror = await startFakeRegistry({ login });
    const asked: string[] = [];
    const toml = `[host."http://${mirror.host}"]\n[host."http://${mirror.host}".header]\nx-own = "secret"`;
    const settings = await settingsFrom({
      [`containerd/certs.d/${registry.host}/hosts.toml`]: toml,
    });
    const repository = open(registry.host, {
      settings,
      credentials: ({ domain }) => {
        asked.push(domain);
        return given(domain === registry.host ? me : undefined)({ domain, path: "" });
      },
    });
    await pullContent(repository, "1");
    expect(asked.sort()).toEqual([mirror.host, registry.host].sort());
    expect(mirror.requests.length).toBeGreaterThan(0);
    for (const { url, headers } of mirror.requests) {
      expect(headers.authorization).toBeUndefined();
      expect(url).toContain(`ns=${encodeURIComponent(registry.host)}`);
      expect(headers["x-own"]).toBe("secret");
    }
    expect(registry.requests.every(({ headers }) => headers["x-own"] === undefined)).toBe(true);
  });
});

async function mirrored(): Promise<{
  readonly registry: FakeRegistry;
  readonly mirror: FakeRegistry;
  readonly image: Awaited<ReturnType<typeof makeRandomImage>>;
  readonly settings: RegistrySettings;
}> {
  const image = await makeRandomImage({ layers: 2, layerSize: 400_000 });
  const registry = await startFakeRegistry();
  const mirror = await startFakeRegistry();
  for (const { host } of [registry, mirror]) {
    await pushContent(open(host, { access: "push" }), image, "1");
  }
  registry.requests.length = 0;
  mirror.requests.length = 0;
  const settings = await settingsFor(registry.host, [mirror.host]);
  return { registry, mirror, image, settings };
}

function settingsFor(host: string, mirrors: readonly string[], kind = "all") {
  const lines = mirrors.flatMap((mirror) => [
    "[[registry.mirror]]",
    `location = "${mirror}"`,
    `pull-from-mirror = "${kind}"`,
  ]);
  const text = [`[[registry]]`, `location = "${host}"`, ...lines].join("\n");
  return settingsFrom({ "containers/registries.conf": text });
}

async function settingsFrom(files: Readonly<Record<string, string>>): Promise<RegistrySettings> {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return { env: { HOME: "/nonexistent" }, system: folder };
}
