import { lstat, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digestOf } from "../../src/core/index.ts";
import { makeFolder } from "../support/setup-context.ts";
import {
  bothPlatforms,
  buildLayout,
  hostArch,
  Layout,
  otherArch,
  pushIndex,
  type WireDescriptor,
} from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, freshRoot } = workspace;

const names = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).sort();
const listTar = async (tar: string): Promise<string[]> =>
  (await runProgram("tar", ["-tf", tar])).split("\n").filter((name) => name !== "");

/** A file for everybody, one for the platform, one that belongs to somebody. */
const files = {
  Dockerfile: `FROM scratch
ARG TARGETARCH
COPY all /all
COPY all /only/$TARGETARCH
COPY --chown=33:44 --chmod=4750 all /theirs
`,
  all: "all\n",
};

describe("files [7.2]", () => {
  test("-o DIR is the root filesystem, without touching the store [7.1]", async () => {
    const [root, out] = [await freshRoot(), join(await makeFolder(), "out")];
    await expectCli(["-t", "unnamed:1", "-o", out, await context(files)], { root });
    expect(await names(out)).toEqual(["all", "only", `only/${hostArch}`, "theirs"]);
    const theirs = await lstat(join(out, "theirs"));
    expect([theirs.uid, theirs.gid, theirs.mode & 0o7777]).toEqual([0, 0, 0o750]);
    expect((await expectCli(["images", "-q", "-a"], { root })).stdout).toBe("");
  });

  test("a directory that is there keeps what else it holds, unless mode=delete", async () => {
    const out = await makeFolder("out");
    await writeFile(join(out, "stale"), "stale");
    const folder = await context(files);
    await expectCli(["-o", out, folder]);
    expect(await names(out)).toContain("stale");
    await expectCli(["-o", `type=local,dest=${out},mode=delete`, folder]);
    expect(await names(out)).not.toContain("stale");
  });

  test("-o - is a tar with owners", async () => {
    const { stdout } = await expectCli(["-o", "-", await context(files)]);
    const tar = join(await makeFolder(), "root.tar");
    // Nothing in it but ASCII.
    await writeFile(tar, stdout);
    const told = await runProgram("tar", ["--numeric-owner", "-tvf", tar]);
    expect(told).toMatch(/^-rwsr-x--- 33\/44 +4 .* theirs$/m);
    expect(await runProgram("tar", ["-xOf", tar, "all"])).toBe("all\n");
  });

  test("several platforms lie in folders of their own, unless they are to be one", async () => {
    const folder = await context(files);
    const both = ["--platform", bothPlatforms];
    const out = join(await makeFolder(), "out");
    await expectCli([...both, "-o", out, folder]);
    expect((await readdir(out)).sort()).toEqual(["linux_amd64", "linux_arm64"]);
    expect(await names(join(out, `linux_${otherArch}`))).toContain(`only/${otherArch}`);
    const tar = join(await makeFolder(), "both.tar");
    await expectCli([...both, "-o", `type=tar,dest=${tar}`, folder]);
    expect(await listTar(tar)).toContain(`linux_${otherArch}/only/${otherArch}`);

    const collision = await cli([
      ...both,
      "-o",
      `type=local,dest=${out},platform-split=false`,
      folder,
    ]);
    expect(errorCode(collision)).toBe("OUTPUT_FAILED");
    expect(collision.stderr).toContain("when split option is disabled");
    const apart = await context({
      Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY f /bin/$TARGETARCH\n",
      f: "f",
    });
    const one = join(await makeFolder(), "one");
    await expectCli([...both, "-o", `type=local,dest=${one},platform-split=false`, apart]);
    expect(await names(one)).toEqual(["bin", "bin/amd64", "bin/arm64"]);
    const single = join(await makeFolder(), "single");
    await expectCli(["-o", `type=local,dest=${single},platform-split=true`, apart]);
    expect(await readdir(single)).toEqual([`linux_${hostArch}`]);
  });

  test("every time is SOURCE_DATE_EPOCH where that is set", async () => {
    const args = ["--build-arg", "SOURCE_DATE_EPOCH=86400"];
    const out = join(await makeFolder(), "out");
    const tar = join(await makeFolder(), "root.tar");
    await expectCli([...args, "-o", out, "-o", `type=tar,dest=${tar}`, await context(files)]);
    for (const name of await names(out))
      expect((await lstat(join(out, name))).mtimeMs, name).toBe(86_400_000);
    const told = await runProgram("tar", ["--utc", "-tvf", tar]);
    expect(
      told
        .trim()
        .split("\n")
        .every((line) => line.includes("1970-01-02 00:00")),
    ).toBe(true);
  });

  test("a base image that nothing was built on is written too", async () => {
    const out = join(await makeFolder(), "out");
    await expectCli(["-o", out, await context({ Dockerfile: "FROM BUSYBOX\n" })], {
      root: await freshRoot(),
    });
    expect((await lstat(join(out, "bin/busybox"))).isFile()).toBe(true);
  });

  test("a failure says what is left", async () => {
    const out = await makeFolder("small");
    const big = { Dockerfile: "FROM scratch\nCOPY big /\n", big: Buffer.alloc(4e6, "x") };
    const folder = await context(big);
    await runProgram("mount", ["-t", "tmpfs", "-o", "size=1m", "none", out]);
    try {
      await writeFile(join(out, "mine"), "mine");
      const there = await cli(["-o", out, folder]);
      expect(errorCode(there)).toBe("DISK_FULL");
      expect(there.stderr).toContain("some files there are new now and others old");
      const fresh = await cli(["-o", join(out, "fresh"), folder]);
      expect(errorCode(fresh)).toBe("DISK_FULL");
      expect(fresh.stderr).toContain("nothing is left of it");
      expect(await readdir(out)).toEqual(["mine"]);
    } finally {
      await runProgram("umount", ["-l", out]);
    }
  });

  test("a place that is read-only is told as that", async () => {
    const place = await makeFolder("read-only");
    const folder = await context(files);
    await runProgram("mount", ["-t", "tmpfs", "-o", "ro", "none", place]);
    try {
      for (const output of [place, join(place, "new"), `type=tar,dest=${join(place, "new.tar")}`])
        expect(errorCode(await cli(["-o", output, folder]))).toBe("OUTPUT_FAILED");
    } finally {
      await runProgram("umount", ["-l", place]);
    }
  });

  test("devices and links are written through, not replaced", async () => {
    const folder = await makeFolder();
    const [device, link, file] = ["null", "stdout", "file"].map((name) => join(folder, name)) as [
      ...[string, string, string],
    ];
    await runProgram("mknod", [device, "c", "1", "3"]);
    await symlink(file, link);
    const built = await context(files);
    for (const type of ["tar", "oci", "docker"]) {
      await writeFile(file, "old");
      for (const dest of [device, link])
        await expectCli(["-o", `type=${type},dest=${dest}`, built]);
      expect(await listTar(file)).not.toEqual([]);
    }
    await expectCli(["--iidfile", device, "--metadata-file", device, built]);
    await expectCli(["--iidfile", link, built]);
    expect(await readFile(file, "utf8")).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect((await lstat(device)).isCharacterDevice()).toBe(true);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
  });
});

describe("image archives [7.3]", () => {
  test("an OCI layout names the image once for each tag [7.5]", async () => {
    const layout = await buildLayout(workspace, await context(files), [
      ...["-t", "one:1", "-t", "two:2"],
    ]);
    const entries = await layout.entries();
    expect(entries.map(({ annotations }) => annotations)).toEqual([
      {
        "io.containerd.image.name": "docker.io/library/one:1",
        "org.opencontainers.image.ref.name": "1",
      },
      {
        "io.containerd.image.name": "docker.io/library/two:2",
        "org.opencontainers.image.ref.name": "2",
      },
    ]);
    const [entry] = entries;
    const text = await layout.text(entry?.digest ?? "");
    expect(text).toBe(JSON.stringify(JSON.parse(text), undefined, 2));
    const { manifest, config } = await layout.image();
    expect(manifest.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
    expect(manifest.config.mediaType).toBe("application/vnd.oci.image.config.v1+json");
    for (const { mediaType } of manifest.layers)
      expect(mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
    expect(config.rootfs.type).toBe("layers");
  });

  test("tar=false is the layout itself, which a second build adds to", async () => {
    const out = join(await makeFolder(), "layout");
    const folder = await context(files);
    await expectCli(["-t", "one:1", "-o", `type=oci,tar=false,dest=${out}`, folder]);
    await expectCli([
      ...["--label", "second=yes", "-t", "two:1", "-t", "one:1"],
      ...["-o", `type=oci,tar=false,dest=${out}`, folder],
    ]);
    const entries = await new Layout(out).entries();
    expect(entries).toHaveLength(2);
    expect(new Set(entries.map(({ digest }) => digest)).size).toBe(1);
    const told = JSON.parse(await runProgram("skopeo", ["inspect", `oci:${out}:1`])) as {
      Labels: Record<string, string>;
    };
    expect(told.Labels).toEqual({ second: "yes" });
    expect((await names(out)).filter((name) => name.endsWith("partial"))).toEqual([]);
  });

  test("docker is for one platform only", async () => {
    const tar = join(await makeFolder(), "image.tar");
    const folder = await context(files);
    const output = ["-o", `type=docker,dest=${tar}`];
    const refused = await cli(["--platform", bothPlatforms, ...output, folder]);
    expect(errorCode(refused)).toBe("OUTPUT_UNSUPPORTED");
    await expectCli(["-t", "docked:1", ...output, folder]);
    const manifest = JSON.parse(await runProgram("tar", ["-xOf", tar, "manifest.json"])) as {
      RepoTags: string[];
    }[];
    expect(manifest[0]?.RepoTags).toEqual(["docked:1"]);
  });

  test("several outputs are written in one build", async () => {
    const folder = await makeFolder();
    const [root, out, tar] = [await freshRoot(), join(folder, "out"), join(folder, "image.tar")];
    await expectCli(
      ["-t", "all:1", "-o", out, "-o", `type=oci,dest=${tar}`, "--load", await context(files)],
      { root },
    );
    expect(await readdir(folder)).toEqual(["image.tar", "out"]);
    expect((await expectCli(["images"], { root })).stdout).toMatch(/^all +1 /m);
  });

  test("cacheonly leaves nothing but the cache [7.1]", async () => {
    const root = await freshRoot();
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo cached\n" });
    await expectCli(["-t", "none:1", "-o", "type=cacheonly", folder], { root });
    expect((await expectCli(["images", "-a", "-q"], { root })).stdout).not.toContain("none");
    const again = await expectCli(["--progress", "plain", "-t", "none:1", folder], { root });
    expect(again.stderr).toContain("CACHED");
    expect(again.stderr).not.toContain("0.0 cached");
  });
});

describe("images and registries [7.4]", () => {
  async function pushed(args: readonly string[], name: string): Promise<{ raw: string }> {
    await expectCli([...args, await context(files)]);
    const raw = await runProgram("skopeo", [
      ...["inspect", "--raw", "--tls-verify=false", `docker://${name}`],
    ]);
    return { raw };
  }

  test("--push and type=registry send it, with OCI media types [7.5]", async () => {
    const { host } = workspace.registry;
    for (const [index, args] of [["--push"], ["-o", "type=registry"]].entries()) {
      const name = `${host}/sent:${String(index)}`;
      const { raw } = await pushed(["-t", name, ...args], name);
      const manifest = JSON.parse(raw) as { mediaType: string; layers: WireDescriptor[] };
      expect(manifest.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
      expect(manifest.layers).toHaveLength(3);
    }
  });

  test("Docker's media types, plain layers, every layer alike", async () => {
    const name = `${workspace.registry.host}/forms:1`;
    const options = "oci-mediatypes=false,compression=uncompressed,force-compression=true";
    const output = `type=image,name=${name},push=true,${options}`;
    const { raw } = await pushed(["-o", output], name);
    const manifest = JSON.parse(raw) as { mediaType: string; layers: WireDescriptor[] };
    expect(manifest.mediaType).toBe("application/vnd.docker.distribution.manifest.v2+json");
    for (const { mediaType } of manifest.layers)
      expect(mediaType).toBe("application/vnd.docker.image.rootfs.diff.tar");
  });

  test("push-by-digest sends it without a tag", async () => {
    const name = `${workspace.registry.host}/by-digest`;
    const metadata = join(await makeFolder(), "metadata.json");
    await expectCli([
      ...["-o", `type=image,name=${name},push-by-digest=true,store=false`],
      ...["--metadata-file", metadata, await context(files)],
    ]);
    const { "containerimage.digest": digest } = JSON.parse(
      await readFile(metadata, "utf8"),
    ) as Record<string, string>;
    const flags = ["inspect", "--raw", "--tls-verify=false"];
    await runProgram("skopeo", [...flags, `docker://${name}@${digest ?? ""}`]);
    await expect(runProgram("skopeo", [...flags, `docker://${name}:latest`])).rejects.toThrow();
  });

  test("a push without a name is refused before anything is built", async () => {
    const result = await cli([
      "--push",
      await context({ Dockerfile: "FROM BUSYBOX\nRUN false\n" }),
    ]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain("tag is needed when pushing to registry");
  });

  test("dangling-name-prefix names what has no name", async () => {
    const root = await freshRoot();
    const output = ["-o", "type=image,dangling-name-prefix=example.com/left"];
    const { stdout } = await expectCli(["-q", ...output, await context(files)], { root });
    const name = `example.com/left@${stdout.trim()}`;
    await expectCli(["inspect", name], { root });
  });
});

describe("reports", () => {
  test("--metadata-file and --iidfile tell what was made", async () => {
    const folder = await makeFolder();
    const [metadata, iid] = [join(folder, "metadata.json"), join(folder, "iid")];
    const name = `${workspace.registry.host}/told:1`;
    await writeFile(iid, "old");
    const reports = ["--metadata-file", metadata, "--iidfile", iid];
    const { stdout } = await expectCli([
      "-q",
      "-t",
      name,
      "--push",
      ...reports,
      await context(files),
    ]);
    const told = JSON.parse(await readFile(metadata, "utf8")) as Record<string, unknown>;
    const raw = await runProgram("skopeo", [
      ...["inspect", "--tls-verify=false", "--format", "{{.Digest}}", `docker://${name}`],
    ]);
    expect(told).toEqual({
      "containerimage.config.digest": stdout.trim(),
      "containerimage.digest": raw.trim(),
      "containerimage.descriptor": {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: raw.trim(),
        size: expect.any(Number) as number,
      },
      "image.name": name,
    });
    expect(await readFile(iid, "utf8")).toBe(stdout.trim());
  });

  test("of several platforms that were pushed the digest is told that the registry knows", async () => {
    const iid = join(await makeFolder(), "iid");
    const name = `${workspace.registry.host}/told-index:1`;
    const args = ["-q", "--platform", bothPlatforms, "-t", name, "--push", "--iidfile", iid];
    const { stdout } = await expectCli([...args, await context(files)]);
    const raw = await runProgram("skopeo", [
      ...["inspect", "--raw", "--tls-verify=false", `docker://${name}`],
    ]);
    const digest = digestOf(Buffer.from(raw));
    expect(await readFile(iid, "utf8")).toBe(digest);
    expect(stdout.trim()).toBe(digest);
    await expectCli(["inspect", digest]);
    const removed = await expectCli(["rmi", digest]);
    expect(removed.stdout).toContain(`Untagged: ${name}`);
  });

  test("of several platforms the index is told", async () => {
    const folder = await makeFolder();
    const [metadata, iid] = [join(folder, "metadata.json"), join(folder, "iid")];
    const args = ["--platform", bothPlatforms, "-t", "index:1"];
    await expectCli([...args, "--metadata-file", metadata, "--iidfile", iid, await context(files)]);
    const told = JSON.parse(await readFile(metadata, "utf8")) as Record<string, unknown>;
    expect(told).not.toHaveProperty(["containerimage.config.digest"]);
    expect(told["containerimage.digest"]).toBe(await readFile(iid, "utf8"));
    expect(told["containerimage.descriptor"]).toMatchObject({
      mediaType: "application/vnd.oci.image.index.v1+json",
    });
  });

  test("an empty name is refused before anything is built", async () => {
    const failing = await context({ Dockerfile: "FROM scratch\nCOPY missing /\n" });
    for (const flag of ["--metadata-file", "--iidfile", "--timeline"]) {
      expect(errorCode(await cli([flag, "", failing])), flag).toBe("OUTPUT_FAILED");
    }
  });

  test("a failed build leaves no image ID of an earlier one, and files have none", async () => {
    const folder = await makeFolder();
    const iid = join(folder, "iid");
    await writeFile(iid, "old");
    const failing = await context({ Dockerfile: "FROM scratch\nCOPY missing /\n" });
    expect((await cli(["--iidfile", iid, failing])).code).toBe(1);
    expect(await readdir(folder)).toEqual([]);
    const local = await cli(["--iidfile", iid, "-o", join(folder, "out"), await context(files)]);
    expect(local.code).toBe(2);
    expect(local.stderr).toContain("local and tar exporters are incompatible with image ID file");
  });
});

describe("annotations [7.4]", () => {
  test("stand where they are put, and stay with the image in the store", async () => {
    const flags = [
      ...["k=v", `manifest[linux/${otherArch}]:only=other`, "index:i=1"],
      ...["manifest-descriptor:d=2", "index-descriptor:e=3"],
    ].flatMap((annotation) => ["--annotation", annotation]);
    const args = ["--platform", bothPlatforms, "-t", "noted:1", ...flags];
    const folder = await context(files);
    const built = await buildLayout(workspace, folder, args);
    await expectCli([...args, folder]);
    const tar = join(await makeFolder(), "saved.tar");
    await expectCli(["save", "-o", tar, "noted:1"]);
    expect((await built.entries())[0]?.annotations).toMatchObject({ e: "3" });
    for (const layout of [built, await Layout.ofTar(tar)]) {
      const index = await layout.index();
      expect(index.annotations).toEqual({ i: "1" });
      for (const { digest, platform, annotations } of index.manifests) {
        expect(annotations).toEqual({ d: "2" });
        const { manifest } = await layout.image(digest);
        const isOther = platform?.architecture === otherArch;
        expect(manifest.annotations).toEqual(isOther ? { k: "v", only: "other" } : { k: "v" });
      }
    }
  });

  test("of an index need one [7.6]", async () => {
    const result = await cli(["--annotation", "index:k=v", await context(files)]);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("index annotations not supported for single platform export");
  });
});

describe("rewrite-timestamp=true [7.9]", () => {
  const tree = {
    Dockerfile: `FROM BUSYBOX
COPY sub /sub
RUN mkdir /made && echo x >/made/x && ln -s x /made/l && touch -d '1971-02-03 00:00:00' /made/old
WORKDIR /w
`,
    "sub/f": "f",
  };
  const epoch = 200_000_000;

  async function rewritten(root: string): Promise<Layout> {
    const tar = join(await makeFolder(), "image.tar");
    await expectCli(
      [
        ...["--build-arg", `SOURCE_DATE_EPOCH=${String(epoch)}`],
        ...["-t", "clamped:1", "-o", `type=oci,dest=${tar},rewrite-timestamp=true`],
        await context(tree),
      ],
      { root },
    );
    return Layout.ofTar(tar);
  }

  test("clamps times in new layers, and leaves the base's as they are", async () => {
    const root = await freshRoot();
    const layout = await rewritten(root);
    const { manifest } = await layout.image();
    const base = JSON.parse(
      await runProgram("skopeo", [
        ...["inspect", "--raw", "--tls-verify=false", `docker://${workspace.busybox}`],
      ]),
    ) as { layers: WireDescriptor[] };
    expect(manifest.layers[0]?.digest).toBe(base.layers[0]?.digest);
    let seen = "";
    for (const { digest } of manifest.layers.slice(1)) {
      seen += await runProgram("tar", [...["--full-time", "--utc", "-tvf", layout.pathOf(digest)]]);
    }
    const limit = "1976-05-03 19:33:20";
    const times = seen
      .trim()
      .split("\n")
      .map((line) => /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.exec(line)?.[0] ?? "none");
    expect(times.every((time) => time <= limit)).toBe(true);
    expect(times).toContain(limit);
    expect(times).toContain("1971-02-03 00:00:00");
  });

  test("gives the same image at another time and place, and one that runs", async () => {
    const [first, second] = [await freshRoot(), await freshRoot()];
    const one = await (await rewritten(first)).entries();
    const two = await (await rewritten(second)).entries();
    expect(two[0]?.digest).toBe(one[0]?.digest);
    // Once more, from what is remembered.
    expect((await (await rewritten(first)).entries())[0]?.digest).toBe(one[0]?.digest);
    await expectCli(
      [
        ...["--build-arg", `SOURCE_DATE_EPOCH=${String(epoch)}`, "-t", "clamped:1"],
        ...["-o", "type=image,rewrite-timestamp=true", await context(tree)],
      ],
      { root: first },
    );
    const { stdout } = await expectCli(
      ["run", "--rm", "clamped:1", "stat", "-c", "%Y", "/made/x", "/made/old"],
      { root: first },
    );
    expect(stdout).toBe(`${String(epoch)}\n34387200\n`);
  });
});

test("attestations are not made, and whoever asks is told [7.7, 7.8]", async () => {
  const folder = await context(files);
  const plain = await buildLayout(workspace, folder);
  expect((await plain.entries())[0]?.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
  const several = await buildLayout(workspace, folder, ["--platform", bothPlatforms]);
  const { manifests } = await several.index();
  expect(manifests.map(({ platform }) => platform?.os)).toEqual(["linux", "linux"]);
  const told = async (...args: string[]): Promise<boolean> =>
    (await expectCli([...args, folder])).stderr.includes("ATTESTATION_NOT_MADE");
  expect(await told("--provenance=mode=max", "--sbom=true")).toBe(true);
  expect(await told("--attest", "type=sbom")).toBe(true);
  expect(await told("--provenance=false", "--sbom=false")).toBe(false);
  expect(await told("--attest", "type=provenance,disabled=true")).toBe(false);
  expect((await cli(["--attest", "type=other", folder])).code).toBe(2);
});

test("an index from elsewhere goes on as it came", async () => {
  const name = await pushIndex(workspace, "onwards");
  const root = await freshRoot();
  const flags = ["--insecure-policy", "--src-tls-verify=false"];
  const out = join(await makeFolder(), "all");
  await mkdir(out);
  const archive = join(out, "all.tar");
  await runProgram("skopeo", [
    "copy",
    "--all",
    ...flags,
    `docker://${name}`,
    `oci-archive:${archive}:all`,
  ]);
  await expectCli(["load", "-i", archive], { root });
  const [row] = JSON.parse(
    (await expectCli(["images", "-a", "--format", "json"], { root })).stdout,
  ) as { id: string }[];
  const there = `${workspace.registry.host}/arrived:1`;
  await expectCli(["tag", row?.id ?? "", there], { root });
  await expectCli(["push", there], { root });
  const shownDigest = async (image: string): Promise<string> =>
    runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${image}`]);
  expect(await shownDigest(there)).toBe(await shownDigest(name));
});
