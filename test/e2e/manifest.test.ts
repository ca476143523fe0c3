import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { startRelay } from "../support/relay.ts";
import { makeFolder } from "../support/setup-context.ts";
import { hostArch, otherArch, pushIndex } from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;
const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];

interface WireIndex {
  readonly mediaType: string;
  readonly manifests: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly platform?: Readonly<Record<string, unknown>>;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What a registry has under a name, as skopeo sees it. */
async function remote(name: string): Promise<WireIndex> {
  return JSON.parse(
    await runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${name}`]),
  ) as WireIndex;
}

async function manifest(...args: string[]): Promise<string> {
  return (await expectCli(["manifest", ...args])).stdout;
}

async function listed(name: string): Promise<WireIndex> {
  return JSON.parse(await manifest("inspect", name)) as WireIndex;
}

const named: Record<string, string> = {};

/** One image for each architecture, each in a repository of its own. */
beforeEach(async () => {
  if (named["both"] !== undefined) return;
  const index = await pushIndex(workspace, "listed/both");
  named["both"] = index;
  for (const arch of [hostArch, otherArch]) {
    named[arch] = `${workspace.registry.host}/listed/${arch}:1`;
    await expectCli([
      ...["image", "cp", "-q", "--platform", `linux/${arch}`],
      ...[`docker://${index}`, `docker://${named[arch] ?? ""}`],
    ]);
  }
});

function image(key: string): string {
  const name = named[key];
  if (name === undefined) throw new Error(`no image ${key}`);
  return name;
}

describe("manifest", () => {
  test("create and push as with docker: images of other repositories become one [R9.1, R9.3, R9.7, R9.8]", async () => {
    const name = `${workspace.registry.host}/listed/docker:1`;
    const told = await manifest("create", name, image(hostArch), image(otherArch));
    expect(told).toBe(`Created manifest list ${name}\n`);
    const digest = (await manifest("push", "-p", name)).trim();
    const original = await remote(image("both"));
    const pushed = await remote(name);
    expect(pushed.mediaType).toBe("application/vnd.oci.image.index.v1+json");
    expect(pushed.manifests.map(({ digest: each }) => each)).toEqual(
      original.manifests.map(({ digest: each }) => each),
    );
    expect(pushed.manifests.map(({ platform }) => platform)).toEqual([
      { os: "linux", architecture: hostArch },
      { os: "linux", architecture: otherArch },
    ]);
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect((await cli(["manifest", "exists", name])).code).toBe(1);
    const root = await workspace.freshRoot();
    await expectCli(["image", "cp", `docker://${name}`, "back:1"], { root });
    const arch = join(await makeFolder(), "out");
    await expectCli(["-o", arch, await context({ Dockerfile: `FROM ${name}\n` })], { root });
    expect(await runProgram("cat", [join(arch, "arch")])).toBe(`${hostArch}\n`);
  });

  test("pushes without having fetched or sent a layer within one registry [R9.7]", async () => {
    const { host, requests } = await startRelay(workspace.registry.host);
    const root = await workspace.freshRoot();
    const name = `${host}/listed/linked:1`;
    const images = [hostArch, otherArch].map((arch) =>
      image(arch).replace(workspace.registry.host, host),
    );
    await expectCli(["manifest", "create", name, ...images], { root });
    await expectCli(["manifest", "push", name], { root });
    const { manifests } = await remote(name);
    expect(manifests).toHaveLength(2);
    const blobs = await runProgram("find", [join(root, "blobs"), "-type", "f"]);
    // Two manifests and two configs.
    expect(blobs.trim().split("\n")).toHaveLength(4);
    const uploads = requests.filter((each) => each.startsWith("POST"));
    expect(uploads.filter((each) => each.includes(`from=listed%2F${hostArch}`))).toHaveLength(2);
    expect(uploads.filter((each) => each.includes(`from=listed%2F${otherArch}`))).toHaveLength(2);
    expect(requests.filter((each) => /^(?:PUT|PATCH) .*\/blobs/.test(each))).toEqual([]);
  });

  test("images of the store are sent as push would send them [R9.2]", async () => {
    const { host } = workspace.registry;
    const folder = await context({
      Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n",
      ...{ [hostArch]: "own\n", [otherArch]: "own other\n" },
    });
    for (const arch of [hostArch, otherArch]) {
      await expectCli(["--platform", `linux/${arch}`, "-t", `own-${arch}:1`, folder]);
    }
    const name = `${host}/listed/own:1`;
    await manifest("create", name, `own-${hostArch}:1`);
    await manifest("add", name, `own-${otherArch}:1`);
    const { manifests } = await listed(name);
    // Neither a lost name nor a prune takes anything away from a list.
    await expectCli(["rmi", `own-${hostArch}:1`, `own-${otherArch}:1`]);
    await expectCli(["system", "prune"]);
    await manifest("push", name);
    expect((await remote(name)).manifests).toEqual(manifests);
    for (const arch of [hostArch, otherArch]) {
      const layout = join(await makeFolder(), "layout");
      await runProgram("skopeo", [
        ...["--insecure-policy", "--override-arch", arch, "copy", ...plain],
        ...[`docker://${name}`, `oci:${layout}:1`],
      ]);
    }
    await manifest("rm", name);
  });

  test("refuses to touch a list that is there, but for --amend [R9.1]", async () => {
    const name = "listed/amend:1";
    await manifest("create", name, image(hostArch));
    const again = await cli(["manifest", "create", name, image(otherArch)]);
    expect([again.code, errorCode(again)]).toEqual([1, "MANIFEST_LIST_EXISTS"]);
    await manifest("create", "-a", name, image(otherArch), image(hostArch));
    expect((await listed(name)).manifests).toHaveLength(2);
    await manifest("rm", name);
    expect(errorCode(await cli(["manifest", "push", name]))).toBe("MANIFEST_LIST_NOT_FOUND");
  });

  test("annotate changes platform and annotations of one image [R9.4]", async () => {
    const name = `${workspace.registry.host}/listed/annotated:1`;
    await manifest("create", name, image(hostArch), image(otherArch));
    await manifest(
      ...[
        "annotate",
        name,
        image(otherArch),
        "--os",
        "windows",
        "--arch",
        "arm",
        "--variant",
        "v7",
      ],
      ...["--os-version", "10.0.1", "--os-features", "win32k", "--annotation", "who=me"],
    );
    const [first, second] = (await listed(name)).manifests;
    expect(first?.platform).toEqual({ os: "linux", architecture: hostArch });
    expect(second).toMatchObject({
      annotations: { who: "me" },
      platform: {
        ...{ os: "windows", architecture: "arm", variant: "v7" },
        ...{ "os.version": "10.0.1", "os.features": ["win32k"] },
      },
    });
    await manifest("annotate", name, second?.digest ?? "", "--os-features", "more");
    await manifest("push", name);
    const pushed = await remote(name);
    expect(pushed.manifests[1]?.platform?.["os.features"]).toEqual(["win32k", "more"]);
    const unknown = await cli(["manifest", "annotate", name, image(hostArch), "--arch", "z80"]);
    expect(unknown.code).toBe(2);
    const missing = await cli(["manifest", "annotate", name, "no/such:1", "--os", "linux"]);
    expect(errorCode(missing)).toBe("IMAGE_NOT_FOUND");
    await manifest("rm", name);
  });

  test("an index gives all its images, and none twice; remove takes them out again [R9.5, R9.6]", async () => {
    const name = "listed/flat:1";
    await manifest("create", name, image(hostArch), `docker://${image("both")}`);
    const { manifests } = await listed(name);
    expect(manifests.map(({ platform }) => platform?.["architecture"])).toEqual([
      hostArch,
      otherArch,
    ]);
    await manifest("remove", name, manifests[0]?.digest ?? "");
    expect((await listed(name)).manifests).toEqual(manifests.slice(1));
    await manifest("rm", name);
  });

  test("a new image under the same name takes the place of the old one [R9.6]", async () => {
    const name = "listed/replaced:1";
    const moving = `${workspace.registry.host}/listed/moving:1`;
    await expectCli(["image", "cp", "-q", `docker://${image(hostArch)}`, `docker://${moving}`]);
    await manifest("create", name, moving);
    await expectCli(["image", "cp", "-q", `docker://${image(otherArch)}`, `docker://${moving}`]);
    await manifest("create", "--amend", name, moving);
    const { manifests } = await listed(name);
    expect(manifests.map(({ platform }) => platform?.["architecture"])).toEqual([otherArch]);
    await manifest("rm", name);
  });

  test("images of Docker's types make a list of Docker's type; --format converts [R9.8]", async () => {
    const { host } = workspace.registry;
    const docker = `${host}/listed/schema2:1`;
    await expectCli([
      ...["image", "cp", "-q", "--format", "docker"],
      ...[`docker://${image("both")}`, `docker://${docker}`],
    ]);
    const name = `${host}/listed/typed:1`;
    await manifest("create", name, docker);
    await manifest("push", name);
    expect((await remote(name)).mediaType).toBe(
      "application/vnd.docker.distribution.manifest.list.v2+json",
    );
    await manifest("push", "--format", "oci", name, `docker://${host}/listed/typed:oci`);
    expect((await remote(`${host}/listed/typed:oci`)).manifests).toEqual(
      (await remote(image("both"))).manifests,
    );
    await manifest("rm", name);
  });

  test("inspect -v tells each image in docker's words; a registry's list is inspected too [R9.9]", async () => {
    const name = "listed/verbose:1";
    await manifest("create", name, image(hostArch));
    const [told] = JSON.parse(await manifest("inspect", "-v", name)) as Record<string, unknown>[];
    expect(told).toMatchObject({
      Ref: image(hostArch),
      Descriptor: { platform: { architecture: hostArch } },
      OCIManifest: { schemaVersion: 2 },
    });
    expect(await listed(image("both"))).toEqual(await remote(image("both")));
    await manifest("rm", name);
    // Of what is in a registry too: one image as such, those of an index as a list.
    const [one, both] = [image(hostArch), image("both")];
    const { manifests } = await remote(both);
    expect(JSON.parse(await manifest("inspect", "-v", one))).toEqual(told);
    expect(JSON.parse(await manifest("inspect", "-v", both))).toMatchObject(
      manifests.map(({ digest, platform }) => ({
        Ref: `${both}@${digest}`,
        Descriptor: { digest, platform },
      })),
    );
  });

  test("a list is written to any place, with a digest that skopeo computes too [R9.10]", async () => {
    const name = "listed/layout:1";
    await manifest("create", "--annotation", "of=all", name, image("both"));
    const layout = join(await makeFolder(), "layout");
    const digest = (await manifest("push", "--all", name, `oci:${layout}:1`)).trim();
    const target = `${workspace.registry.host}/listed/by-skopeo:1`;
    await runProgram("skopeo", [
      ...["--insecure-policy", "copy", "--all", ...plain, "--preserve-digests"],
      ...[`oci:${layout}:1`, `docker://${target}`],
    ]);
    const pushed = await remote(target);
    expect(pushed.annotations).toEqual({ of: "all" });
    expect((await expectCli(["image", "cp", "-q", `docker://${target}`, "by:skopeo"])).stdout).toBe(
      `${digest}\n`,
    );
    await manifest("rm", name);
  });

  test("an empty list is not pushed", async () => {
    await manifest("create", "listed/empty:1");
    expect((await cli(["manifest", "push", "listed/empty:1"])).code).toBe(2);
    expect((await cli(["manifest", "exists", "listed/empty:1"])).code).toBe(0);
    await manifest("rm", "listed/empty:1");
  });
});

test("podman makes the same list of the same images [R9.5, R9.8]", async (context) => {
  const place = await makeFolder("podman");
  const podman = async (...args: string[]): Promise<string> =>
    runProgram("podman", [
      ...["--root", join(place, "root"), "--runroot", join(place, "run")],
      ...["--storage-driver", "vfs", ...args],
    ]);
  try {
    await podman("manifest", "create", "theirs");
  } catch (error) {
    return context.skip(`podman does not work here: ${String(error).slice(0, 300)}`);
  }
  for (const arch of [hostArch, otherArch]) {
    await podman("manifest", "add", "--tls-verify=false", "theirs", `docker://${image(arch)}`);
  }
  const theirs = JSON.parse(await podman("manifest", "inspect", "theirs")) as WireIndex;
  await manifest("create", "ours:1", `docker://${image(hostArch)}`, `docker://${image(otherArch)}`);
  const ours = await listed("ours:1");
  expect(ours.manifests).toEqual(theirs.manifests);
  await manifest("rm", "ours:1");
});
