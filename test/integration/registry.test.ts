import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openArchiveSink, openArchiveSource } from "../../src/archive/index.ts";
import { parsePlatform, type HttpClient } from "../../src/core/index.ts";
import { copyGraph } from "../../src/image/index.ts";
import { openRegistry, type RegistryRepository } from "../../src/registry/index.ts";
import { describeContentPlace } from "../contract/content-place-contract.ts";
import { InStep } from "../support/in-step.ts";
import { MemoryPlace } from "../support/memory-place.ts";
import { makeRandomImage, makeRandomIndex, type RandomImage } from "../support/random-image.ts";
import { makeArtifact } from "../support/registry-scenes.ts";
import { startRegistryProcess, type RegistryProcess } from "../support/registry-process.ts";

const run = promisify(execFile);
let registry: RegistryProcess;
let folder: string;
let counter = 0;

beforeAll(async () => {
  registry = await startRegistryProcess();
  folder = await mkdtemp(join(tmpdir(), "tsbuild-skopeo-"));
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

describeContentPlace("the distribution project's registry", () => {
  const path = `team/app-${String(++counter)}`;
  return Promise.resolve({
    write: (work) => work(open(path, "push")),
    read: (work) => work(open(path, "pull")),
    nameOf: (tag) => `${registry.host}/${path}:${tag}`,
  });
});

test("a layer is linked from another repository", async () => {
  const image = await makeRandomImage({ seed: "mounted" });
  await pushTo(open("mount/from", "push"), image, "1");
  const uploads: boolean[] = [];
  const sink = open("mount/to", "push", { mountFrom: ["mount/from"] });
  await copyGraph({
    source: new MemoryPlace("test", image.blobs),
    sink,
    root: image.root,
    onProgress: ({ done, skipped }) => done && uploads.push(!skipped),
  });
  expect(uploads.filter(Boolean)).toHaveLength(1);
});

test("tags are listed", async () => {
  const repository = open("tags", "push");
  const image = await makeRandomImage();
  for (const tag of ["b", "a", "c"]) await pushTo(repository, image, tag);
  const found: string[] = [];
  for await (const tag of repository.listTags()) found.push(tag);
  expect(found.sort()).toEqual(["a", "b", "c"]);
});

test("eight that attach at once are all in the tag that stands in for the referrers API [R8.1]", async () => {
  const path = "attached-at-once";
  const image = await makeRandomImage({ layers: 1 });
  await pushTo(open(path, "push"), image, "1");
  const artifacts = Array.from({ length: 9 }, (_, at) =>
    makeArtifact(image.root, `a/number-${String(at)}`),
  );
  const attach = ({ root, blobs }: RandomImage, sink: RegistryRepository): Promise<unknown> =>
    copyGraph({ source: new MemoryPlace("test", blobs), sink, root });
  // This registry does not bear that several bring the same blob at once, here the config that they share.
  const [first = image, ...others] = artifacts;
  await attach(first, open(path, "push"));
  // All read the tag before anybody writes it, and write it before anybody looks again: each time one is left of them.
  const tag = image.root.digest.replace(":", "-");
  const together = new InStep(({ url }) => url.pathname.endsWith(`/manifests/${tag}`));
  const members = others.map((artifact) => ({ artifact, ...together.join() }));
  await Promise.all(
    members.map(({ artifact, client, leave }) =>
      attach(artifact, open(path, "push", { client })).finally(leave),
    ),
  );
  const found = await open(path, "pull").listReferrers(image.root.digest);
  const digests = found.map(({ digest }) => digest);
  expect(digests.sort()).toEqual(artifacts.map(({ root }) => root.digest).sort());
});

describe("skopeo as the judge", () => {
  test.each([false, true])("reads what we push (Docker's types: %s)", async (dockerTypes) => {
    const image = await makeRandomImage({ seed: "pushed", dockerTypes });
    await pushTo(open("judge/pushed", "push"), image, "1");
    const name = `docker://${registry.host}/judge/pushed:1`;
    const inspected = JSON.parse(await skopeo("inspect", "--tls-verify=false", name)) as {
      Digest: string;
      Layers: string[];
    };
    expect(inspected.Digest).toBe(image.root.digest);
    expect(inspected.Layers).toEqual(image.manifest.layers.map(({ digest }) => digest));
    await skopeo("copy", "--src-tls-verify=false", name, `dir:${join(folder, "pushed")}`);
  });

  test("reads an index that we push", async () => {
    const index = await makeRandomIndex(["linux/amd64", "linux/arm64"]);
    await pushTo(open("judge/index", "push"), index, "1");
    const name = `docker://${registry.host}/judge/index:1`;
    for (const [place, architecture] of ["amd64", "arm64"].entries()) {
      const args = ["--override-arch", architecture, "inspect", "--config", "--tls-verify=false"];
      const config = JSON.parse(await skopeo(...args, name)) as { architecture: string };
      expect(config.architecture).toBe(architecture);
      expect(index.images[place]?.config.architecture).toBe(architecture);
    }
    await skopeo("copy", "--all", "--src-tls-verify=false", name, `dir:${join(folder, "index")}`);
  });

  test("writes what we pull", async () => {
    const image = await makeRandomImage({ seed: "pulled" });
    const archive = await saved(image, "app:1", "oci");
    const name = `${registry.host}/judge/pulled:1`;
    await skopeo("copy", "--dest-tls-verify=false", `oci-archive:${archive}`, `docker://${name}`);
    const source = open("judge/pulled", "pull");
    const root = await source.resolve(name);
    expect(root?.digest).toBe(image.root.digest);
    const sink = new MemoryPlace("test");
    const platform = parsePlatform("linux/amd64");
    await copyGraph({ source, sink, root: root ?? image.root, platform });
    expect([...sink.blobs.keys()].sort()).toEqual([...image.blobs.keys()].sort());
  });

  test.each(["oci-archive", "docker-archive"])("opens our archives as %s", async (kind) => {
    for (const compression of ["none", "gzip"] as const) {
      const image = await makeRandomImage({ seed: kind, compression });
      const archive = await saved(image, "app:1", "docker");
      const config = await skopeo("inspect", "--config", "--raw", `${kind}:${archive}`);
      expect(JSON.parse(config)).toMatchObject({
        rootfs: { type: "layers", diff_ids: image.config.diffIds },
      });
      const target = join(folder, `${kind}-${compression}`);
      await skopeo("copy", `${kind}:${archive}`, `dir:${target}`);
    }
  });

  test("writes archives that we open", async () => {
    const image = await makeRandomImage({ seed: "written", compression: "none" });
    const archive = await saved(image, "app:1", "docker");
    for (const target of ["oci-archive:", "docker-archive:", "oci:"]) {
      const path = join(folder, `written-${String(++counter)}`);
      await skopeo("copy", `docker-archive:${archive}`, `${target}${path}:host.io/app:2`);
      const source = await openArchiveSource({ input: path });
      onTestFinished(() => source.close());
      const root = await source.resolve("host.io/app:2");
      expect(root).toBeDefined();
      if (root === undefined) return;
      const sink = new MemoryPlace("test");
      await copyGraph({ source, sink, root });
      expect(sink.blobs.size).toBe(image.blobs.size);
    }
  });
});

function open(
  path: string,
  access: "pull" | "push",
  options: { readonly mountFrom?: readonly string[]; readonly client?: HttpClient } = {},
): RegistryRepository {
  const repository = openRegistry({
    reference: { domain: registry.host, path },
    access,
    credentials: () => Promise.resolve(undefined),
    ...options,
  });
  onTestFinished(() => repository.close());
  return repository;
}

async function pushTo(sink: RegistryRepository, image: RandomImage, tag: string): Promise<void> {
  await copyGraph({ source: new MemoryPlace("test", image.blobs), sink, root: image.root });
  await sink.tag(tag, image.root);
}

async function saved(image: RandomImage, name: string, flavor: "oci" | "docker"): Promise<string> {
  const output = join(folder, `saved-${String(++counter)}.tar`);
  const sink = await openArchiveSink({ output, flavor });
  await copyGraph({ source: new MemoryPlace("test", image.blobs), sink, root: image.root });
  await sink.tag(name, image.root);
  await sink.finish();
  return output;
}

async function skopeo(...args: readonly string[]): Promise<string> {
  const { stdout } = await run("skopeo", ["--insecure-policy", ...args]);
  return stdout;
}
