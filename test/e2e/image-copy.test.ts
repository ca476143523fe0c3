import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import { bothPlatforms, hostArch, otherArch, pushIndex } from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["umoci"] });
const { cli, context, expectCli } = workspace;
const skopeo = async (...args: string[]): Promise<string> =>
  runProgram("skopeo", ["--insecure-policy", ...args]);
const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];

/** The bytes of what a name stands for in the registry, as skopeo sees them. */
async function rawOf(name: string): Promise<string> {
  return skopeo("inspect", "--raw", "--tls-verify=false", `docker://${name}`);
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

async function copy(source: string, target: string, ...flags: string[]): Promise<string> {
  const { stdout } = await expectCli(["image", "cp", "-q", ...flags, source, target]);
  return stdout.trim();
}

let index: Promise<string> | undefined;
/** An index for two platforms; nobody changes it. */
async function someIndex(): Promise<string> {
  return (index ??= pushIndex(workspace, "copied/index"));
}

describe("image cp", () => {
  test("takes an index round all places and back without changing a byte [R10.8, R11.4, R17.1]", async () => {
    const name = await someIndex();
    const raw = await rawOf(name);
    const folder = await makeFolder();
    const host = workspace.registry.host;
    const places = [
      `docker://${name}`,
      `oci:${join(folder, "layout")}:one`,
      `oci-archive:${join(folder, "layout.tar")}:one`,
      `docker-archive:${join(folder, "docker.tar")}:app:1`,
      `dir:${join(folder, "files")}`,
      "round/trip:1",
      `docker://${host}/copied/back:1`,
    ];
    for (const [at, source] of places.slice(0, -1).entries()) {
      expect(await copy(source, places[at + 1] ?? "")).toBe(digestOf(raw));
    }
    expect(await rawOf(`${host}/copied/back:1`)).toBe(raw);
  });

  test("keeps attestations beside the image they are about, through the store too [R15.1, R15.2]", async () => {
    const { host } = workspace.registry;
    const name = `${host}/copied/attested:1`;
    const source = await makeFolder("attested");
    await attest(source, await someIndex());
    await skopeo("copy", "--all", ...plain, `oci:${source}:1`, `docker://${name}`);
    const digest = await copy(`docker://${name}`, "attested:1");
    expect(digest).toBe(digestOf(await rawOf(name)));
    expect(await copy("attested:1", `docker://${host}/copied/attested:2`)).toBe(digest);
    const one = await copy(
      ...([`docker://${name}`, `docker://${host}/copied/attested:3`] as const),
      ...["--platform", bothPlatforms],
    );
    expect(one).toBe(digest);
  });

  test("--platform takes one image, or a smaller index of several [R5.6]", async () => {
    const name = await pushIndex(workspace, "copied/three", [hostArch, otherArch, "s390x"]);
    const host = workspace.registry.host;
    const { manifests } = JSON.parse(await rawOf(name)) as {
      manifests: { digest: string; platform: { architecture: string } }[];
    };
    const wanted = manifests.find(({ platform }) => platform.architecture === otherArch);
    const one = await copy(
      ...([`docker://${name}`, `docker://${host}/copied/one:1`] as const),
      ...["--platform", `linux/${otherArch}`],
    );
    expect(one).toBe(wanted?.digest);
    const two = await copy(
      ...([`docker://${name}`, `docker://${host}/copied/two:1`] as const),
      ...["--platform", bothPlatforms],
    );
    const raw = await rawOf(`${host}/copied/two:1`);
    expect(digestOf(raw)).toBe(two);
    const smaller = JSON.parse(raw) as { manifests: { digest: string }[] };
    expect(smaller.manifests).toEqual(
      manifests.filter(({ platform }) => platform.architecture !== "s390x"),
    );
  });

  test("a missing platform lists the ones there are [R5.5]", async () => {
    const name = await someIndex();
    const result = await cli([
      ...["image", "cp", "--platform", "linux/riscv64"],
      ...[`docker://${name}`, `oci:${await makeFolder("none")}`],
    ]);
    expect([result.code, errorCode(result)]).toEqual([1, "IMAGE_PLATFORM_NOT_FOUND"]);
    for (const arch of [hostArch, otherArch]) expect(result.stderr).toContain(`linux/${arch}`);
  });

  test("moves no blob between repositories of one registry, nor a second time", async () => {
    const name = await someIndex();
    const { host, storage } = workspace.registry;
    const blobs = async (): Promise<number> =>
      (await readdir(join(storage, "docker/registry/v2/blobs"), { recursive: true })).length;
    const before = await blobs();
    await copy(`docker://${name}`, `docker://${host}/copied/elsewhere:1`);
    expect(await blobs()).toBe(before);
    expect(await rawOf(`${host}/copied/elsewhere:1`)).toBe(await rawOf(name));
  });

  test("what was built here leaves as push would send it", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo built >/b\n" });
    await expectCli(["-t", "built-here:1", folder]);
    const host = workspace.registry.host;
    const digest = await copy("built-here:1", `docker://${host}/copied/built:1`);
    await expectCli(["tag", "built-here:1", `${host}/copied/built:2`]);
    const pushed = await expectCli(["push", `${host}/copied/built:2`]);
    expect(pushed.stdout).toContain(digest);
    const layout = join(await makeFolder(), "layout");
    await copy("built-here:1", `oci:${layout}:1`);
    const bundle = join(await makeFolder(), "bundle");
    await runProgram("umoci", ["unpack", "--image", `${layout}:1`, bundle]);
    expect(await readFile(join(bundle, "rootfs/b"), "utf8")).toBe("built\n");
  });

  test("what came in runs, from every place [R10.1, R10.2, R10.7]", async () => {
    const folder = await makeFolder();
    const files = {
      "oci:": join(folder, "layout"),
      "oci-archive:": join(folder, "layout.tar"),
      "docker-archive:": join(folder, "docker.tar"),
      "dir:": join(folder, "files"),
    };
    for (const [transport, path] of Object.entries(files)) {
      const ref = transport === "dir:" ? "" : ":busy:1";
      const place = `${transport}${path}${ref}`;
      await skopeo("copy", ...plain, `docker://${workspace.busybox}`, place);
      const name = `from-skopeo:${transport.replace(":", "")}`;
      await copy(place, name);
      expect(await workspace.output(name, "echo", transport)).toBe(`${transport}\n`);
    }
  });

  test("skopeo reads every place that was written [R10.1, R10.2, R10.4, R10.7]", async () => {
    const folder = await makeFolder();
    const places = [
      `oci:${join(folder, "layout")}:name`,
      `oci-archive:${join(folder, "layout.tar")}:name`,
      `docker-archive:${join(folder, "docker.tar")}:docker.io/library/app:1`,
      `dir:${join(folder, "files")}`,
    ];
    const id = (JSON.parse(await rawOf(workspace.busybox)) as { config: { digest: string } }).config
      .digest;
    for (const place of places) {
      await copy(`docker://${workspace.busybox}`, place);
      expect(digestOf(await skopeo("inspect", "--config", "--raw", place)), place).toBe(id);
    }
  });

  test("of an archive with several images one has to be named [R10.3, R10.4]", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo 2 >/2\n" });
    await expectCli(["-t", "second:1", folder]);
    await expectCli(["pull", workspace.busybox]);
    const archive = join(await makeFolder(), "both.tar");
    await expectCli(["save", "-o", archive, "second:1", workspace.busybox]);
    const unnamed = await cli(["image", "cp", `docker-archive:${archive}`, "any:1"]);
    expect(errorCode(unnamed)).toBe("IMAGE_NOT_FOUND");
    expect(unnamed.stderr).toContain("second:1");
    await copy(`docker-archive:${archive}:second:1`, "named:1");
    expect(await workspace.output("named:1", "cat", "/2")).toBe("2\n");
    await copy(`docker-archive:${archive}:@0`, "numbered:0");
    expect(await workspace.output("numbered:0", "cat", "/2")).toBe("2\n");
    expect(errorCode(await cli(["image", "cp", `docker-archive:${archive}:@2`, "any:1"]))).toBe(
      "IMAGE_NOT_FOUND",
    );
  });

  test("an archive without manifests gets one, and says so [R10.5]", async () => {
    const archive = join(await makeFolder(), "old.tar");
    await skopeo(
      "copy",
      ...plain,
      `docker://${workspace.busybox}`,
      `docker-archive:${archive}:b:1`,
    );
    const result = await expectCli(["image", "cp", `docker-archive:${archive}`, "made:1"]);
    expect(result.stderr).toContain("MANIFEST_MADE");
    expect(result.stderr).toContain(result.stdout.trim());
  });

  test("--format changes the types and nothing else, there and back [R11.1, R11.2]", async () => {
    const name = await someIndex();
    const host = workspace.registry.host;
    const docker = `${host}/copied/docker:1`;
    await copy(`docker://${name}`, `docker://${docker}`, "--format", "docker");
    const list = JSON.parse(await rawOf(docker)) as { mediaType: string };
    expect(list.mediaType).toBe("application/vnd.docker.distribution.manifest.list.v2+json");
    const config = async (image: string): Promise<string> =>
      skopeo("inspect", "--config", "--raw", "--tls-verify=false", `docker://${image}`);
    expect(await config(docker)).toBe(await config(name));
    const back = await copy(
      ...([`docker://${docker}`, `docker://${host}/copied/oci:1`] as const),
      ...["--format", "oci"],
    );
    expect(back).toBe(digestOf(await rawOf(name)));
  });

  test("under a digest nothing else can be put [R17.18]", async () => {
    const host = workspace.registry.host;
    const target = `docker://${host}/copied/wrong@sha256:${"0".repeat(64)}`;
    const file = join(await makeFolder(), "digest");
    await writeFile(file, "of before");
    const result = await cli([
      ...["image", "cp", "--digestfile", file],
      ...[`docker://${workspace.busybox}`, target],
    ]);
    expect([result.code, errorCode(result)]).toEqual([1, "IMAGE_CHANGED"]);
    await expect(readFile(file)).rejects.toThrow("ENOENT");
    const unknown = await cli(["image", "cp", `${host}/no/such:1`, target]);
    expect([unknown.code, errorCode(unknown)]).toEqual([1, "IMAGE_NOT_FOUND"]);
    expect(unknown.stderr).toContain(`docker://${host}/no/such:1`);
  });

  test("standard input and output are places too [R10.6]", async () => {
    const name = workspace.busybox;
    const target = `docker://${workspace.registry.host}/copied/piped:1`;
    const bin = join(import.meta.dirname, "../../bin/tsbuild.js");
    const script = `"$0" "$1" image cp docker://${name} oci-archive:-:x | cat >"$2" && "$0" "$1" image cp -q oci-archive:- ${target} <"$2"`;
    const file = join(await makeFolder(), "piped.tar");
    const printed = await runProgram("sh", ["-c", script, process.execPath, bin, file], {
      env: { ...process.env, TSBUILD_ROOT: workspace.root },
    });
    expect(printed.trim()).toBe(digestOf(await rawOf(name)));
  });
});

describe("image inspect", () => {
  test("--raw prints the bytes of the registry, the layout and the store [R17.2]", async () => {
    const name = await someIndex();
    const layout = join(await makeFolder(), "layout");
    await copy(`docker://${name}`, `oci:${layout}:1`);
    await copy(`docker://${name}`, "inspected:1");
    const raw = await rawOf(name);
    for (const place of [`docker://${name}`, `oci:${layout}:1`, "inspected:1"]) {
      expect((await expectCli(["image", "inspect", "--raw", place])).stdout).toBe(raw);
    }
    const config = await expectCli([
      ...["image", "inspect", "--raw", "--config", `docker://${name}`],
    ]);
    expect(config.stdout).toBe(
      await skopeo("inspect", "--config", "--raw", "--tls-verify=false", `docker://${name}`),
    );
  });

  test("tells of a remote image what it tells of it when it is here", async () => {
    const name = workspace.busybox;
    const [remote] = JSON.parse(
      (await expectCli(["image", "inspect", `docker://${name}`])).stdout,
    ) as Record<string, unknown>[];
    await expectCli(["pull", name]);
    const [local] = JSON.parse((await expectCli(["image", "inspect", name])).stdout) as Record<
      string,
      unknown
    >[];
    const { Size: _compressed, RepoTags: tags, ...told } = remote ?? {};
    expect(local).toMatchObject(told);
    expect(local?.["RepoTags"]).toEqual(expect.arrayContaining(tags as string[]));
  });
});

describe("image rm", () => {
  test("removes a tag in a registry, but not another one unasked [R17.11]", async () => {
    const repository = `${workspace.registry.host}/copied/removed`;
    const name = `docker://${repository}`;
    for (const tag of ["1", "2"]) await copy(`docker://${workspace.busybox}`, `${name}:${tag}`);
    const both = await cli(["image", "rm", `${name}:1`]);
    expect([both.code, errorCode(both)]).toEqual([1, "IMAGE_IN_USE"]);
    expect(both.stderr).toContain("it is 2 too");
    expect((await expectCli(["tags", repository])).stdout.trim().split("\n").sort()).toEqual([
      ...["1", "2"],
    ]);
    const removed = await expectCli(["image", "rm", "-f", `${name}:1`]);
    expect(removed.stdout).toMatch(/^Deleted: docker:.*:1 sha256:[0-9a-f]{64}\n$/);
    expect(errorCode(await cli(["image", "inspect", `${name}:2`]))).toBe("IMAGE_NOT_FOUND");
    await expectCli(["image", "inspect", `docker://${workspace.busybox}`]);
  });

  test("tells which tags go with a digest [R17.11]", async () => {
    const repository = `${workspace.registry.host}/copied/gone`;
    for (const tag of ["1", "2"])
      await copy(`docker://${workspace.busybox}`, `docker://${repository}:${tag}`);
    const digest = digestOf(await rawOf(`${repository}:1`));
    const { stderr } = await expectCli(["image", "rm", `docker://${repository}@${digest}`]);
    expect(stderr).toMatch(/ was (?:1, 2|2, 1) too: .*\[TAGS_REMOVED\]/);
    expect(errorCode(await cli(["image", "inspect", `docker://${repository}:2`]))).toBe(
      "IMAGE_NOT_FOUND",
    );
  });

  test("removes images here as rmi does [R17.11]", async () => {
    await copy(`docker://${workspace.busybox}`, "removed-here:1");
    expect((await expectCli(["image", "rm", "removed-here:1"])).stdout).toContain(
      "Untagged: removed-here:1",
    );
    expect((await expectCli(["image", "ls"])).stdout).not.toContain("removed-here");
    expect((await cli(["image", "rm", "ocidir://somewhere"])).code).toBe(2);
  });

  test("of several goes on behind one that is not there [R17.11]", async () => {
    const name = `docker://${workspace.registry.host}/copied/several`;
    await copy(`docker://${workspace.busybox}`, `${name}:1`);
    await copy(`docker://${workspace.busybox}`, "several-here:1");
    const words = [`${name}:0`, "not-here:1", `${name}:1`, "several-here:1"];
    const result = await cli(["image", "rm", ...words]);
    expect([result.code, errorCode(result)]).toEqual([1, "IMAGE_NOT_FOUND"]);
    expect(result.stdout).toContain(`Deleted: ${name}:1 sha256:`);
    expect(result.stdout).toContain("Untagged: several-here:1");
  });
});

describe("tags", () => {
  test("lists as skopeo does, all or a page of them [R17.3]", async () => {
    const { host } = workspace.registry;
    const repository = `${host}/copied/tagged`;
    const wanted = ["a", "b", "c", "d", "e"];
    for (const tag of wanted)
      await copy(`docker://${workspace.busybox}`, `docker://${repository}:${tag}`);
    const listed = JSON.parse(
      await skopeo("list-tags", "--tls-verify=false", `docker://${repository}`),
    ) as { Tags: string[] };
    expect((await expectCli(["tags", repository])).stdout.trim().split("\n")).toEqual(listed.Tags);
    const page = await expectCli(["tags", "--limit", "2", "--last", "b", `docker://${repository}`]);
    const behind = listed.Tags.slice(listed.Tags.indexOf("b") + 1);
    expect(page.stdout.trim().split("\n")).toEqual(behind.slice(0, 2));
    const json = await expectCli(["tags", "--format", "json", repository]);
    expect((JSON.parse(json.stdout) as string[]).sort()).toEqual(wanted);
    expect((await cli(["tags", `${repository}:a`])).code).toBe(2);
    expect((await cli(["tags", `${host}/no/such`])).code).toBe(1);
  });
});

/** Writes a layout of an index that attests each of its images, in the form that BuildKit writes. */
async function attest(folder: string, name: string): Promise<void> {
  await skopeo("copy", "--all", ...plain, `docker://${name}`, `oci:${folder}:1`);
  const pathOf = (digest: string): string => join(folder, "blobs", digest.replace(":", "/"));
  const put = async (mediaType: string, text: string) => {
    const digest = digestOf(text);
    await writeFile(pathOf(digest), text);
    return { mediaType, digest, size: Buffer.byteLength(text) };
  };
  const layout = JSON.parse(await readFile(join(folder, "index.json"), "utf8")) as {
    manifests: { digest: string; annotations: object }[];
  };
  const index = JSON.parse(await readFile(pathOf(layout.manifests[0]?.digest ?? ""), "utf8")) as {
    mediaType: string;
    manifests: { digest: string }[];
  };
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const attestations = [];
  for (const { digest } of index.manifests) {
    const layer = await put("application/vnd.in-toto+json", JSON.stringify({ subject: digest }));
    const config = await put(
      "application/vnd.oci.image.config.v1+json",
      JSON.stringify({
        ...{ architecture: "unknown", os: "unknown", config: {} },
        rootfs: { type: "layers", diff_ids: [layer.digest] },
      }),
    );
    const manifest = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] };
    attestations.push({
      ...(await put(manifestType, JSON.stringify(manifest))),
      annotations: {
        "vnd.docker.reference.digest": digest,
        "vnd.docker.reference.type": "attestation-manifest",
      },
      platform: { architecture: "unknown", os: "unknown" },
    });
  }
  const attested = { ...index, manifests: [...index.manifests, ...attestations] };
  const root = await put(index.mediaType, JSON.stringify(attested));
  const annotations = { "org.opencontainers.image.ref.name": "1" };
  await writeFile(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...root, annotations }] }),
  );
}
