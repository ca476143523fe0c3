import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tsbuildBin } from "../support/cli.ts";
import { startRelay } from "../support/relay.ts";
import { makeFolder } from "../support/setup-context.ts";
import {
  bothPlatforms,
  hostArch,
  Layout,
  otherArch,
  pushIndex,
  type WireDescriptor,
} from "../support/setup-platforms.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, inspect } = workspace;

test("push, forget, pull: the same image comes back [R17.18]", async () => {
  const name = `${workspace.registry.host}/team/app:1.0`;
  const folder = await context({
    Dockerfile: 'FROM BUSYBOX\nRUN echo pushed >/p\nCMD ["cat","/p"]\n',
  });
  await expectCli(["-t", name, folder]);
  const { Id } = await inspect(name);
  const file = join(await makeFolder(), "digest");
  const pushed = await expectCli(["push", "--digestfile", file, name]);
  expect(pushed.stdout).toContain(`digest: ${await readFile(file, "utf8")} `);
  const root = await workspace.freshRoot();
  await expectCli(["pull", name], { root });
  const { stdout } = await expectCli(["inspect", name], { root });
  expect((JSON.parse(stdout) as { Id: string }[])[0]?.Id).toBe(Id);
  expect((await expectCli(["run", "--rm", name], { root })).stdout).toBe("pushed\n");
});

test("a second push moves nothing new", async () => {
  const name = `${workspace.registry.host}/again:1`;
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo again >/a\n" });
  await expectCli(["-t", name, folder]);
  await expectCli(["push", name]);
  const before = await blobsOf(workspace.registry.storage);
  await expectCli(["push", name]);
  await expectCli(["tag", name, `${workspace.registry.host}/again:2`]);
  await expectCli(["push", `${workspace.registry.host}/again:2`]);
  expect(await blobsOf(workspace.registry.storage)).toEqual(before);
});

test("layers that another repository of the registry has are linked, not sent [R7.5]", async () => {
  const { host, requests } = await startRelay(workspace.registry.host);
  const base = workspace.busybox.replace(workspace.registry.host, host);
  const folder = await context({ Dockerfile: `FROM ${base}\nRUN echo linked >/l\n` });
  await expectCli(["-t", `${host}/linked/app:1`, folder]);
  await expectCli(["push", `${host}/linked/app:1`]);
  const uploads = (): readonly string[] => requests.filter((each) => each.startsWith("POST"));
  expect(uploads().filter((each) => each.includes("from=busybox"))).toHaveLength(1);

  // What was pushed is known as well as what was pulled.
  requests.length = 0;
  await expectCli(["tag", `${host}/linked/app:1`, `${host}/linked/copy:1`]);
  await expectCli(["push", `${host}/linked/copy:1`]);
  expect(uploads()).toHaveLength(3);
  expect(uploads().filter((each) => each.includes("from=linked%2Fapp"))).toHaveLength(2);
  expect(requests.filter((each) => each.startsWith("PUT /v2/linked/copy/blobs"))).toHaveLength(1);
  const [image] = JSON.parse((await expectCli(["inspect", `${host}/linked/app:1`])).stdout) as [
    { RepoDigests: string[] },
  ];
  expect(image.RepoDigests).toHaveLength(2);

  // What a build has pushed, too.
  requests.length = 0;
  const other = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo at once >/o\n" });
  await expectCli(["-t", `${host}/linked/built:1`, "--push", other]);
  await expectCli(["tag", `${host}/linked/built:1`, `${host}/linked/again:1`]);
  await expectCli(["push", `${host}/linked/again:1`]);
  expect(uploads().some((each) => each.includes("from=linked%2Fbuilt"))).toBe(true);
});

test("a large layer is sent while it is compressed, and what a rebuild leaves as it was is not sent again", async () => {
  const { host, requests } = await startRelay(workspace.registry.host);
  const name = `${host}/large:1`;
  const files = (version: string) => ({
    Dockerfile: "FROM scratch\nCOPY large /large\nCOPY version /version\n",
    large: randomBytes(3_000_000).fill("text", 0, 1_500_000),
    version,
  });
  const folder = await context(files("1"));
  const [layer] = await build();
  const sent = (method: string) => requests.filter((line) => line.startsWith(`${method} `));
  expect(sent("PATCH")).toHaveLength(1);
  expect(sent("PUT").filter((line) => line.includes("/blobs/"))).toHaveLength(3);
  const root = await workspace.freshRoot();
  await expectCli(["pull", name], { root });
  await expectCli(["save", "-o", join(folder, "saved.tar"), name], { root });

  requests.length = 0;
  await writeFile(join(folder, "version"), "2");
  expect((await build())[0]).toBe(layer);
  expect(sent("PATCH")).toEqual([]);
  // The small layer and the config.
  expect(sent("PUT").filter((line) => line.includes("/blobs/"))).toHaveLength(2);

  requests.length = 0;
  await expectCli(["push", name]);
  // Whether a registry is there, and what the name stands for.
  expect(requests).toEqual(["GET /v2/", "HEAD /v2/large/manifests/1"]);

  async function build(): Promise<readonly string[]> {
    await expectCli(["-t", name, folder]);
    await expectCli(["push", name]);
    return (await inspect(name)).RootFS.Layers;
  }
});

test("push -a sends every tag of the repository and no other [R17.4]", async () => {
  const repository = `${workspace.registry.host}/all/tags`;
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo all >/a\n" });
  await expectCli(["-t", `${repository}:1`, "-t", `${repository}:2`, folder]);
  await expectCli(["tag", `${repository}:1`, `${repository}-not:1`]);
  const { stdout } = await expectCli(["push", "-a", repository]);
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(":")[0]),
  ).toEqual(["1", "2"]);
  const listed = await expectCli(["tags", repository]);
  expect(listed.stdout.trim().split("\n").sort()).toEqual(["1", "2"]);
  expect((await cli(["tags", `${repository}-not`])).code).toBe(1);
  expect((await cli(["push", "-a", `${repository}:1`])).code).toBe(2);
  expect(errorCode(await cli(["push", "-a", "never-built"]))).toBe("IMAGE_NOT_FOUND");
});

test("an index leaves the store with its attestations, and of some platforms without [R15.1, R17.14]", async () => {
  const { host } = workspace.registry;
  const name = await pushIndex(workspace, "some/index", [hostArch, otherArch, "s390x"]);
  const root = await workspace.freshRoot();
  const both = `${host}/some/both:1`;
  await expectCli(["pull", "--platform", bothPlatforms, name], { root });
  await expectCli(["tag", name, both], { root });
  await expectCli(["push", "--platform", bothPlatforms, both], { root });
  const entries = async (image: string): Promise<readonly WireDescriptor[]> => {
    const raw = await expectCli(["image", "inspect", "--raw", `docker://${image}`]);
    return (JSON.parse(raw.stdout) as { manifests: WireDescriptor[] }).manifests;
  };
  const all = await entries(name);
  expect(await entries(both)).toEqual(
    all.filter(({ platform }) => platform?.architecture !== "s390x"),
  );
  const one = all.find(({ platform }) => platform?.architecture === otherArch);
  const pushed = await expectCli(["push", "--platform", `linux/${otherArch}`, both], { root });
  expect(pushed.stdout).toContain(one?.digest);
  const archive = join(await makeFolder(), "one.tar");
  await expectCli(["save", "--platform", `linux/${otherArch}`, "-o", archive, both], { root });
  const [saved] = await (await Layout.ofTar(archive)).entries();
  expect(saved?.mediaType).toContain("image.manifest");
  const missing = await cli(["push", "--platform", "linux/s390x", both], { root });
  expect([missing.code, errorCode(missing)]).toEqual([1, "IMAGE_PLATFORM_NOT_FOUND"]);
  expect(missing.stderr).toContain(`linux/${hostArch}`);

  // An index that is here as a whole leaves as it came, with what no build makes.
  const [first] = all;
  const said = { ...first, annotations: { said: "of it" } };
  const file = join(await makeFolder(), "said.json");
  await writeFile(file, JSON.stringify(said));
  const attested = `${host}/some/index:attested`;
  const annotation = ["--annotation", "index:kept=yes"];
  await expectCli(["imagetools", "create", "-t", attested, ...annotation, "-f", file]);
  await expectCli(["image", "cp", `docker://${attested}`, `${host}/some/kept:1`], { root });
  const kept = await expectCli(["push", `${host}/some/kept:1`], { root });
  const { stdout } = await expectCli(["image", "inspect", "--raw", `docker://${attested}`]);
  expect(kept.stdout).toContain(createHash("sha256").update(stdout).digest("hex"));
});

test("run pulls what is missing", async () => {
  const root = await workspace.freshRoot();
  const { stdout } = await expectCli(["run", "--rm", workspace.busybox, "echo", "pulled"], {
    root,
  });
  expect(stdout).toBe("pulled\n");
});

test("a digest names exactly its manifest", async () => {
  const root = await workspace.freshRoot();
  const answer = await fetch(
    `http://${workspace.busybox.replace("/busybox:1", "")}/v2/busybox/manifests/1`,
    { method: "HEAD", headers: { accept: "application/vnd.oci.image.manifest.v1+json" } },
  );
  const digest = answer.headers.get("docker-content-digest") ?? "";
  await expectCli(["pull", `${workspace.registry.host}/busybox@${digest}`], { root });
  const wrong = `${workspace.registry.host}/busybox@sha256:${"0".repeat(64)}`;
  expect((await cli(["pull", wrong], { root })).code).toBe(1);
});

test("--pull asks the registry again; without it the store's image is taken", async () => {
  const name = `${workspace.registry.host}/moving:1`;
  const push = async (word: string): Promise<void> => {
    const root = await workspace.freshRoot();
    const folder = await context({ Dockerfile: `FROM BUSYBOX\nRUN echo ${word} >/word\n` });
    await expectCli(["-t", name, folder], { root });
    await expectCli(["push", name], { root });
  };
  await push("old");
  const folder = await context({ Dockerfile: `FROM ${name}\nRUN cat /word >/seen\n` });
  await expectCli(["pull", name]);
  await push("new");
  await expectCli(["-t", "kept:1", folder]);
  expect(await workspace.output("kept:1", "cat", "/seen")).toBe("old\n");
  await expectCli(["--pull", "-t", "asked:1", folder]);
  expect(await workspace.output("asked:1", "cat", "/seen")).toBe("new\n");
});

test("unknown names and tags are told apart from an unreachable registry", async () => {
  const missing = await cli(["pull", `${workspace.registry.host}/no/such:1`]);
  expect(missing.code).toBe(1);
  expect(errorCode(missing)).toBe("IMAGE_NOT_FOUND");
  const unreachable = await cli(["pull", "127.0.0.1:1/x:1"]);
  expect(unreachable.code).toBe(1);
  expect(errorCode(unreachable)).not.toBe("IMAGE_NOT_FOUND");
  expect(errorCode(await cli(["push", "never-built:1"]))).toBe("IMAGE_NOT_FOUND");
});

test("too small a limit of the address space is told as that, and not as a fault of the network", async () => {
  const command = 'ulimit -v 9000000; exec "$0" "$@"';
  const name = `${workspace.registry.host}/no/such:1`;
  const program = [process.execPath, tsbuildBin, "--root", await workspace.freshRoot()];
  const { status, stderr } = spawnSync("sh", ["-c", command, ...program, "pull", name], {
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toContain("no room for the parser of HTTP [REGISTRY_UNREACHABLE]");
  expect(stderr).toContain("hint: raise that limit");
});

async function blobsOf(storage: string): Promise<string[]> {
  const found = await readdir(join(storage, "docker/registry/v2/blobs"), { recursive: true });
  return found.filter((name) => name.endsWith("/data")).sort();
}
