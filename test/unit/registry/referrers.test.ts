import { describe, expect, test } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { parseIndex } from "../../../src/image/index.ts";
import { startFakeRegistry } from "../../support/registry.ts";
import { makeRandomImage } from "../../support/random-image.ts";
import { failureOf } from "../../support/expect-code.ts";
import {
  makeArtifact,
  openTestRepository as open,
  pushContent,
} from "../../support/registry-scenes.ts";

describe.each([true, false])("referrers (API: %s)", (referrers) => {
  test("are listed, all or those of a type, each once [R8.1, R8.2]", async () => {
    const registry = await startFakeRegistry({ referrers, deletes: true });
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    expect(await repository.listReferrers(image.root.digest)).toEqual([]);
    const [sbom, signature] = [makeArtifact(image.root, "a/sbom"), makeArtifact(image.root, "a/s")];
    for (const artifact of [sbom, signature, sbom]) {
      await pushContent(open(registry.host, { access: "push" }), artifact, "x");
    }
    const found = await repository.listReferrers(image.root.digest);
    expect(found.map(({ digest }) => digest)).toEqual([sbom.root.digest, signature.root.digest]);
    expect(found.map(({ artifactType }) => artifactType)).toEqual(["a/sbom", "a/s"]);
    const signatures = await repository.listReferrers(image.root.digest, { artifactType: "a/s" });
    expect(signatures.map(({ digest }) => digest)).toEqual([signature.root.digest]);
    const tags = [...registry.repository("app").tags.keys()];
    expect(tags.some((tag) => tag.startsWith("sha256-"))).toBe(!referrers);
  });

  test("go with their manifest [R8.5]", async () => {
    const registry = await startFakeRegistry({ referrers, deletes: true });
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    const artifact = makeArtifact(image.root, "a/sbom");
    await pushContent(repository, artifact, "x");
    await repository.deleteManifest(artifact.root.digest);
    expect(await repository.listReferrers(image.root.digest)).toEqual([]);
    expect(registry.repository("app").manifests.has(artifact.root.digest)).toBe(false);
  });

  test("of what nobody knows are none [R8.2]", async () => {
    const registry = await startFakeRegistry({ referrers });
    expect(await open(registry.host).listReferrers(digestOf("unknown"))).toEqual([]);
  });
});

describe("the tag that stands in for the API", () => {
  test("has the annotations and the type of each, and keeps what others wrote [R8.1]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    const artifact = makeArtifact(image.root, "a/sbom");
    await pushContent(repository, artifact, "x");
    await pushContent(repository, makeArtifact(image.root, "a/s"), "y");
    const { tags, manifests } = registry.repository("app");
    const tag = image.root.digest.replace(":", "-");
    const bytes = manifests.get(tags.get(tag) ?? "")?.bytes ?? Buffer.alloc(0);
    const { manifests: entries } = parseIndex(bytes);
    expect(entries).toHaveLength(2);
    expect(entries[0]).toEqual({
      ...artifact.root,
      artifactType: "a/sbom",
      annotations: { about: "a/sbom" },
    });
  });

  test("is written again when somebody else was faster, by its ETag [R8.1]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    await pushContent(repository, makeArtifact(image.root, "a/s"), "x");
    const path = /manifests\/sha256-/;
    const headers = { etag: '"version 1"' };
    registry.addFault({ method: "GET", path, times: 2, act: { type: "headers", headers } });
    registry.addFault({ method: "PUT", path, act: { type: "status", status: 412 } });
    await pushContent(repository, makeArtifact(image.root, "a/sbom"), "y");
    const puts = registry.requests.filter(({ method, url }) => method === "PUT" && path.test(url));
    expect(puts.slice(-2).map((request) => request.headers["if-match"])).toEqual([
      '"version 1"',
      '"version 1"',
    ]);
    expect(await repository.listReferrers(image.root.digest)).toHaveLength(2);
  });

  test("that is something else stops it [R8.1]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, image.root.digest.replace(":", "-"));
    const failed = pushContent(repository, makeArtifact(image.root, "a/s"), "x");
    expect((await failureOf(failed)).code).toBe("REGISTRY_ANSWER_INVALID");
  });

  test("is asked when the API answers with a page for people [R8.3]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    await pushContent(repository, makeArtifact(image.root, "a/s"), "x");
    const body = "<html>welcome</html>";
    const headers = { "content-type": "text/html" };
    const act = { type: "status", status: 200, headers, body } as const;
    registry.addFault({ method: "GET", path: /referrers/, act });
    expect(await repository.listReferrers(image.root.digest)).toHaveLength(1);
  });
});

describe("removal", () => {
  test("of a tag leaves the image, of a digest takes it [R8.4]", async () => {
    const registry = await startFakeRegistry({ deletes: true });
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    await repository.deleteTag("1");
    expect(await repository.resolve("1")).toBeUndefined();
    expect((await repository.resolve(image.root.digest))?.digest).toBe(image.root.digest);
    await repository.deleteManifest(image.root.digest);
    expect(await repository.resolve(image.root.digest)).toBeUndefined();
    const again = failureOf(repository.deleteManifest(image.root.digest));
    expect((await again).code).toBe("REGISTRY_NOT_FOUND");
    expect((await failureOf(repository.deleteTag("1"))).code).toBe("REGISTRY_NOT_FOUND");
  });

  test("that the registry does not do is said [R8.4]", async () => {
    const registry = await startFakeRegistry();
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    for (const work of [repository.deleteTag("1"), repository.deleteManifest(image.root.digest)]) {
      expect((await failureOf(work)).code).toBe("REGISTRY_UNSUPPORTED");
    }
  });

  test("asks for its own scope [R3.18]", async () => {
    const login = { scheme: "bearer" } as const;
    const registry = await startFakeRegistry({ login, deletes: true });
    const image = await makeRandomImage();
    const repository = open(registry.host, { access: "push" });
    await pushContent(repository, image, "1");
    await repository.deleteTag("1");
    const last = registry.log().findLast((line) => line.startsWith("GET /token")) ?? "";
    expect(decodeURIComponent(last)).toContain("scope=repository:app:delete,pull,push");
    const first = registry.log().find((line) => line.startsWith("GET /token")) ?? "";
    expect(decodeURIComponent(first)).toContain("scope=repository:app:pull,push");
  });
});
