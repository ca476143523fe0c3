import { execFile } from "node:child_process";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheConfigType } from "../../src/cache/index.ts";
import { digestHex, digestOf, type Digest } from "../../src/core/index.ts";
import { changeCacheDocument } from "../support/cache-document.ts";
import type { CliResult } from "../support/cli.ts";
import { startObjectStorage, type ObjectStorage } from "../support/object-storage-process.ts";
import { startRelay } from "../support/relay.ts";
import { makeFolder } from "../support/setup-context.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli, cli } = workspace;
const exec = promisify(execFile);

/** Two stages; each RUN gives other bytes whenever it runs, so that a step that ran is told from one that did not. */
const dockerfile = [
  "FROM BUSYBOX AS builder",
  "COPY input /src/input",
  "RUN head -c 200000 /dev/urandom >/src/built",
  "FROM BUSYBOX",
  "RUN head -c 1000 /dev/urandom >/first",
  "COPY --from=builder /src/built /built",
  "COPY --link last /last",
  'CMD ["cat", "/last"]',
  "",
].join("\n");

function files(changes: Readonly<Record<string, string>> = {}): Promise<string> {
  return context({ Dockerfile: dockerfile, input: "input\n", last: "last\n", ...changes });
}

/** Names of the steps that a build ran. */
function ran({ stderr }: CliResult): readonly string[] {
  return [...stderr.matchAll(/^#(\d+) why: /gm)].map(
    ([, number]) =>
      new RegExp(`^#${String(number)} \\[[^\\]]*\\] (.*)$`, "m").exec(stderr)?.[1] ?? "?",
  );
}

function imageId({ stderr }: CliResult): string {
  return /^image (sha256:[0-9a-f]{64})/m.exec(stderr)?.[1] ?? "none";
}

/** Digests of layers among what was asked of a registry: all blobs but the documents, which are small. */
async function layersAsked(requests: readonly string[]): Promise<readonly string[]> {
  const asked = requests.flatMap(
    (each) => /^GET .*\/blobs\/(sha256:[0-9a-f]{64})/.exec(each)?.[1] ?? [],
  );
  const layers = [];
  for (const digest of asked) {
    const bytes = await readFile(storedBlob(digest as Digest));
    if (bytes[0] !== "{".charCodeAt(0)) layers.push(digest);
  }
  return layers;
}

function storedBlob(digest: Digest): string {
  const hex = digestHex(digest);
  const { storage } = workspace.registry;
  return join(storage, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
}

async function rawManifest(name: string): Promise<Wire> {
  const { stdout } = await exec("skopeo", [
    "inspect",
    "--raw",
    "--tls-verify=false",
    `docker://${name}`,
  ]);
  return JSON.parse(stdout) as Wire;
}

interface Wire {
  readonly mediaType: string;
  readonly config: { readonly mediaType: string; readonly digest: Digest; readonly size: number };
  readonly layers: readonly { readonly mediaType: string; readonly digest: Digest }[];
  readonly manifests: readonly { readonly mediaType: string; readonly digest: Digest }[];
}

describe("a registry", () => {
  test("a fully cached build on an empty machine, whose result is there already, moves no layer at all [6.19, 6.21]", async () => {
    const { host, requests } = await startRelay(workspace.registry.host);
    const folder = await files();
    const name = `${host}/travel/app:1`;
    const cache = `type=registry,ref=${host}/travel/cache:main`;
    const first = await expectCli([
      "-t",
      name,
      "--push",
      "--cache-to",
      `${cache},mode=max`,
      folder,
    ]);
    const root = await workspace.freshRoot();
    requests.length = 0;
    const args = [
      "-t",
      name,
      "--push",
      "--cache-from",
      cache,
      "--cache-to",
      `${cache},mode=max`,
      folder,
    ];
    const second = await expectCli(args, { root });
    expect(ran(second)).toEqual([]);
    expect(imageId(second)).toBe(imageId(first));
    expect(second.stderr).toContain("all of it was there");
    expect(await layersAsked(requests)).toEqual([]);
    // The name stands for that image already: nothing is sent.
    expect(requests.filter((each) => /^(?:PUT|POST|PATCH)/.test(each))).toEqual([]);

    // What is only promised comes when it is wanted, and is of this machine from then on.
    const { stdout } = await expectCli(["run", "--rm", name], { root });
    expect(stdout).toBe("last\n");
    // That of the base comes from its own repository or from the image's, whichever name comes first.
    expect([3, 4]).toContain((await layersAsked(requests)).length);
    requests.length = 0;
    const third = await expectCli(["-t", name, folder], { root });
    expect([imageId(third), ran(third)]).toEqual([imageId(first), []]);
    expect(requests).toEqual([]);
  });

  test("a layer is brought when a step reads its files, and only that one", async () => {
    const { host, requests } = await startRelay(workspace.registry.host);
    const cache = `${host}/partly/cache`;
    await expectCli(["--cache-to", `type=registry,ref=${cache},mode=max`, await files()]);
    const root = await workspace.freshRoot();
    requests.length = 0;
    const changed = await files({ last: "changed\n" });
    const built = await expectCli(["-t", "partly", "--cache-from", cache, changed], { root });
    expect(ran(built)).toEqual(["COPY --link last /last"]);
    // Those of the final stage below the step; what the builder made is not looked at.
    expect(await layersAsked(requests)).toHaveLength(2);
    expect((await expectCli(["run", "--rm", "partly"], { root })).stdout).toBe("changed\n");
  });

  test("min has the steps of the result, max those of all stages [6.19]", async () => {
    const { host } = workspace.registry;
    const folder = await files();
    for (const mode of ["min", "max"]) {
      await expectCli([
        "--cache-to",
        `type=registry,ref=${host}/modes/cache:${mode},mode=${mode}`,
        folder,
      ]);
    }
    const changed = await files({
      Dockerfile: dockerfile.replace(
        "COPY --from=builder /src/built",
        "COPY --from=builder /src/input",
      ),
    });
    const rebuild = async (mode: string): Promise<readonly string[]> =>
      ran(
        await expectCli(["--cache-from", `${host}/modes/cache:${mode}`, changed], {
          root: await workspace.freshRoot(),
        }),
      );
    const copy = "COPY --from=builder /src/input /built";
    const own = ["COPY input /src/input", "RUN head -c 200000 /dev/urandom >/src/built"];
    expect((await rebuild("min")).toSorted()).toEqual([copy, ...own].toSorted());
    expect(await rebuild("max")).toEqual([copy]);
  });

  test("an image goes to another repository without passing this machine: the registry links its layers", async () => {
    const { host, requests } = await startRelay(workspace.registry.host);
    const folder = await files();
    await expectCli(["--cache-to", `type=registry,ref=${host}/linking/cache,mode=max`, folder]);
    const root = await workspace.freshRoot();
    requests.length = 0;
    const name = `${host}/linking/elsewhere:1`;
    await expectCli(["-t", name, "--push", "--cache-from", `${host}/linking/cache`, folder], {
      root,
    });
    expect(await layersAsked(requests)).toEqual([]);
    const other = await workspace.freshRoot();
    expect((await expectCli(["run", "--rm", name], { root: other })).stdout).toBe("last\n");
  });

  test("the artifact is an ordinary one: other tools copy it, there and back", async () => {
    const { host } = workspace.registry;
    const folder = await files();
    await expectCli(["--cache-to", `type=registry,ref=${host}/plain/cache,mode=max`, folder]);
    const { mediaType, config } = await rawManifest(`${host}/plain/cache:latest`);
    expect(mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
    expect(config.mediaType).toBe(cacheConfigType);
    const layout = join(await makeFolder(), "layout");
    const insecure = ["--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    await exec("skopeo", [
      "copy",
      ...insecure,
      `docker://${host}/plain/cache:latest`,
      `oci:${layout}:kept`,
    ]);
    await exec("skopeo", [
      "copy",
      ...insecure,
      `oci:${layout}:kept`,
      `docker://${host}/plain/again:kept`,
    ]);
    for (const source of [`type=local,src=${layout},tag=kept`, `${host}/plain/again:kept`]) {
      const built = await expectCli(["--cache-from", source, folder], {
        root: await workspace.freshRoot(),
      });
      expect(ran(built)).toEqual([]);
    }
  });

  test("an index of layers, with OCI's types and with Docker's, reads as well [6.20]", async () => {
    const { host } = workspace.registry;
    const folder = await files();
    const forms = {
      "image-manifest=false": "application/vnd.oci.image.index.v1+json",
      "oci-mediatypes=false": "application/vnd.docker.distribution.manifest.list.v2+json",
    };
    for (const [index, [field, type]] of Object.entries(forms).entries()) {
      const cache = `${host}/forms/cache:${String(index)}`;
      await expectCli(["--cache-to", `type=registry,ref=${cache},mode=max,${field}`, folder]);
      const { mediaType, manifests } = await rawManifest(cache);
      expect([mediaType, manifests.at(-1)?.mediaType]).toEqual([type, cacheConfigType]);
      const built = await expectCli(["--cache-from", cache, folder], {
        root: await workspace.freshRoot(),
      });
      expect(ran(built)).toEqual([]);
    }
  });
});

describe("a directory", () => {
  test("holds caches by tags, takes only what is new, and finds them again by tag and digest [6.19, 6.21]", async () => {
    const directory = join(await makeFolder(), "cache");
    const write = async (more: string, folder: string): Promise<CliResult> =>
      expectCli(["--cache-to", `type=local,dest=${directory},${more}`, folder]);
    const folder = await files();
    await write("mode=max", folder);
    const blobs = await readdir(join(directory, "blobs/sha256"));
    expect((await write("mode=max", folder)).stderr).toContain("all of it was there");
    expect(await readdir(join(directory, "blobs/sha256"))).toEqual(blobs);
    await write("mode=max,tag=other", await files({ last: "other\n" }));
    const { manifests } = JSON.parse(await readFile(join(directory, "index.json"), "utf8")) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    const tags = manifests.map(
      ({ annotations }) => annotations["org.opencontainers.image.ref.name"],
    );
    expect(tags).toEqual(["latest", "other"]);
    for (const which of ["", ",tag=latest", `,digest=${manifests[0]?.digest ?? ""}`]) {
      const root = await workspace.freshRoot();
      const built = await expectCli(
        ["--cache-from", `type=local,src=${directory}${which}`, folder],
        { root },
      );
      expect(ran(built)).toEqual([]);
    }
  });

  test("reset leaves this build's cache and nothing else [6.20]", async () => {
    const directory = join(await makeFolder(), "cache");
    const to = `type=local,dest=${directory},mode=max`;
    await expectCli(["--cache-to", to, await files({ input: "old\n" })]);
    const before = await readdir(join(directory, "blobs/sha256"));
    const folder = await files({ input: "new\n" });
    await expectCli(["--cache-to", `${to},reset=true`, folder]);
    const after = await readdir(join(directory, "blobs/sha256"));
    // The input, what was built of it, its copy, and the two documents are others.
    expect(before.filter((name) => !after.includes(name))).toHaveLength(5);
    const root = await workspace.freshRoot();
    expect(
      ran(await expectCli(["--cache-from", `type=local,src=${directory}`, folder], { root })),
    ).toEqual([]);
  });

  test("layers have the compression that was asked for; those that exist stay unless forced [6.20]", async () => {
    const directory = join(await makeFolder(), "cache");
    const folder = await files();
    const typesOf = async (tag: string, more: string): Promise<readonly string[]> => {
      await expectCli(["--cache-to", `type=local,dest=${directory},tag=${tag},${more}`, folder]);
      const { stdout } = await expectCli(["image", "inspect", "--raw", `oci:${directory}:${tag}`]);
      const { layers } = JSON.parse(stdout) as Wire;
      return [...new Set(layers.map(({ mediaType }) => mediaType.split(".tar")[1] ?? ""))];
    };
    expect(await typesOf("a", "compression=zstd,compression-level=9")).toEqual(["+zstd"]);
    expect(await typesOf("a", "compression=gzip")).toEqual(["+zstd"]);
    expect(await typesOf("a", "compression=gzip,force-compression=true")).toEqual(["+gzip"]);
    expect(await typesOf("b", "compression=uncompressed")).toEqual([""]);
    const layersOf = async (tag: string): Promise<readonly string[]> => {
      const { stdout } = await expectCli(["image", "inspect", "--raw", `oci:${directory}:${tag}`]);
      return (JSON.parse(stdout) as Wire).layers.map(({ digest }) => digest);
    };
    const usual = await layersOf("a");
    await typesOf("c", "compression-level=9");
    const high = await layersOf("c");
    expect(high.filter((digest) => usual.includes(digest))).toEqual([]);
    await typesOf("a", "compression=gzip,compression-level=9");
    expect(await layersOf("a")).toEqual(usual);
    await typesOf("a", "compression=gzip,compression-level=9,force-compression=true");
    expect(await layersOf("a")).toEqual(high);
    await typesOf("c", "force-compression=true");
    expect(await layersOf("c")).toEqual(usual);
    const root = await workspace.freshRoot();
    const from = ["--cache-from", `type=local,src=${directory},tag=b`];
    expect(ran(await expectCli([...from, folder], { root }))).toEqual([]);
  });
});

describe("a bucket", () => {
  let server: ObjectStorage;
  beforeAll(async () => {
    server = await startObjectStorage();
  });
  afterAll(() => server.stop());

  test("--cache-to and --cache-from type=s3: an empty machine runs nothing, and layers come when they are wanted [6.19]", async () => {
    const env = {
      AWS_ACCESS_KEY_ID: server.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    };
    const cache = `type=s3,bucket=cache,region=us-east-1,endpoint_url=http://${server.host},prefix=app/`;
    const folder = await files();
    const args = ["-t", "bucket", "--cache-from", cache, "--cache-to", `${cache},mode=max`, folder];
    const first = await expectCli(args, { env, root: await workspace.freshRoot() });
    // There was none; that is no failure.
    expect(first.stderr).toContain("CACHE_NOT_IMPORTED");
    expect(ran(first)).toHaveLength(5);

    const root = await workspace.freshRoot();
    const second = await expectCli(args, { env, root });
    expect([imageId(second), ran(second)]).toEqual([imageId(first), []]);
    expect(second.stderr).toContain("all of it was there");
    const { stdout } = await expectCli(["run", "--rm", "bucket"], { env, root });
    expect(stdout).toBe("last\n");

    const changed = await files({ input: "changed\n" });
    const other = ["-t", "other", "--cache-from", cache, changed];
    const third = await expectCli(other, { env, root: await workspace.freshRoot() });
    expect(ran(third)).toEqual([
      "COPY input /src/input",
      "RUN head -c 200000 /dev/urandom >/src/built",
      "COPY --from=builder /src/built /built",
    ]);
    expect(third.stderr).toMatch(/^#\d+ why: first time here, and not in the caches/m);
  });
});

describe("an image that is a cache of itself", () => {
  test("by --cache-to type=inline, and by BUILDKIT_INLINE_CACHE=1 [6.19]", async () => {
    const { host } = workspace.registry;
    const folder = await files();
    const ways = [
      ["--cache-to", "type=inline"],
      ["--build-arg", "BUILDKIT_INLINE_CACHE=1"],
    ];
    const ids = [];
    for (const [index, way] of ways.entries()) {
      const name = `${host}/inline/app:${String(index)}`;
      ids.push(imageId(await expectCli(["-t", name, "--push", ...way, folder])));
      const root = await workspace.freshRoot();
      const built = await expectCli(["--cache-from", name, ...way, "-t", "again", folder], {
        root,
      });
      // min: the stage that was copied from is not the image's.
      expect(ran(built)).toEqual([]);
      ids.push(imageId(built));
      expect((await expectCli(["run", "--rm", "again"], { root })).stdout).toBe("last\n");
    }
    expect(new Set(ids).size).toBe(1);
    const plain = await expectCli(["-t", "plain", folder]);
    expect(ids).not.toContain(imageId(plain));
  });
});

describe("a cache that is of no use is a warning, and never a wrong hit", () => {
  test("missing, of another tool, no cache, out of reach, of a kind that is not known [6.21]", async () => {
    const { host } = workspace.registry;
    const foreign = `${host}/foreign/cache:buildkit`;
    await pushForeign(foreign);
    const sources = [
      `${host}/no/such/cache`,
      "127.0.0.1:1/out/of/reach",
      "type=local,src=/no/such/folder",
      "type=gha",
      workspace.busybox,
      foreign,
      "Not A Reference",
    ];
    const from = sources.flatMap((source) => ["--cache-from", source]);
    const { stderr } = await expectCli([
      ...from,
      "-t",
      "useless",
      await files({ last: "useless\n" }),
    ]);
    for (const what of [
      "no/such/cache",
      "out/of/reach",
      "/no/such/folder",
      "type=gha",
      "busybox:1",
    ]) {
      expect(stderr).toMatch(new RegExp(`CACHE_NOT_IMPORTED: the cache \\S*${what}`));
    }
    expect(stderr).toMatch(
      /CACHE_NOT_IMPORTED: the cache \S*cache:buildkit is of no use: .*BuildKit/,
    );
    expect(stderr).toContain("CACHE_NOT_IMPORTED: the cache Not A Reference");
  });

  test("a layer that is gone, damaged, or another one's: its step runs", async () => {
    for (const harm of ["gone", "damaged", "another's"] as const) {
      const directory = join(await makeFolder(), "cache");
      const first = await files();
      await expectCli(["--cache-to", `type=local,dest=${directory},mode=max`, first]);
      await harmLayers(directory, harm);
      const root = await workspace.freshRoot();
      const from = ["--cache-from", `type=local,src=${directory}`];
      const changed = await files({
        Dockerfile: dockerfile.replace("CMD", "RUN test -s /first\nCMD"),
      });
      const built = await expectCli([...from, "-t", harm.replaceAll("'", ""), changed], { root });
      expect(built.stderr).toContain("CACHE_LAYER_LOST");
      expect(ran(built)).toContain("RUN test -s /first");
      expect(ran(built)).toContain("RUN head -c 1000 /dev/urandom >/first");
      // Not "first time": the cache told of it.
      expect(built.stderr).toMatch(/^#\d+ why: lost: /m);
      expect(imageId(built)).not.toBe("none");
    }
  });

  test("a layer that is missing when the image is written: its step runs", async () => {
    const directory = join(await makeFolder(), "cache");
    const folder = await files();
    await expectCli(["--cache-to", `type=local,dest=${directory},mode=max`, folder]);
    await harmLayers(directory, "gone");
    const root = await workspace.freshRoot();
    const archive = join(await makeFolder(), "image.tar");
    const from = ["--cache-from", `type=local,src=${directory}`];
    const built = await expectCli([...from, "-o", `type=oci,dest=${archive}`, folder], { root });
    expect(built.stderr).toContain("CACHE_LAYER_LOST");
    expect(ran(built)).toContain("RUN head -c 1000 /dev/urandom >/first");
    expect(built.stderr).toMatch(/^#\d+ why: lost: /m);
    await expectCli(["load", "-i", archive], { root });
  });

  test("layers that are gone when only their image was asked for: no image is promised, and the cache becomes whole", async () => {
    const directory = join(await makeFolder(), "cache");
    const folder = await files();
    const args = [
      ...["--cache-from", `type=local,src=${directory}`],
      ...["--cache-to", `type=local,dest=${directory},mode=max`],
      ...["-t", "whole", folder],
    ];
    await expectCli(args);
    await harmLayers(directory, "gone");
    const first = await expectCli(args, { root: await workspace.freshRoot() });
    expect(first.stderr).toContain("CACHE_LAYER_LOST");
    expect(ran(first)).toContain("RUN head -c 1000 /dev/urandom >/first");
    const root = await workspace.freshRoot();
    const second = await expectCli(args, { root });
    expect(second.stderr).not.toContain("CACHE_LAYER_LOST");
    expect(ran(second)).toEqual([]);
    expect((await expectCli(["run", "--rm", "whole"], { root })).stdout).toBe("last\n");
  });

  test("a layer that is gone does not keep the rest from another cache", async () => {
    const folders = [await makeFolder(), await makeFolder()];
    const [from = "", to = ""] = folders.map((folder) => join(folder, "cache"));
    const folder = await files();
    await expectCli(["--cache-to", `type=local,dest=${from},mode=max`, folder]);
    const blobs = join(from, "blobs/sha256");
    // That of the stage that only gives a file.
    for (const name of await readdir(blobs)) {
      if ((await readFile(join(blobs, name))).length > 150_000) await rm(join(blobs, name));
    }
    const root = await workspace.freshRoot();
    const built = await expectCli(
      [
        ...["--cache-from", `type=local,src=${from}`],
        ...["--cache-to", `type=local,dest=${to},mode=max`, folder],
      ],
      { root },
    );
    expect(built.stderr).toContain("CACHE_LAYER_LOST");
    expect((await readdir(join(to, "blobs/sha256"))).length).toBeGreaterThan(3);
  });

  test("a damaged layer leaves no half of an archive on the standard output", async () => {
    const directory = join(await makeFolder(), "cache");
    const folder = await files({ Dockerfile: "FROM scratch\nCOPY input /\nCOPY last /\n" });
    await expectCli(["--cache-to", `type=local,dest=${directory},mode=max`, folder]);
    await harmLayers(directory, "damaged");
    const root = await workspace.freshRoot();
    const from = ["--cache-from", `type=local,src=${directory}`];
    const built = await expectCli([...from, "-o", "type=oci", folder], { root });
    expect(built.stderr).toContain("CACHE_LAYER_LOST");
    expect(built.stdout.match(/oci-layout\0/g)).toHaveLength(1);
  });

  test("a target that cannot be written fails the build behind its image, unless it may [6.20]", async () => {
    const folder = await files();
    const to = "type=registry,ref=127.0.0.1:1/out/of/reach";
    const failed = await cli(["-t", "unwritten", "--cache-to", to, folder]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("REGISTRY_UNREACHABLE");
    expect((await workspace.inspect("unwritten")).RepoTags).toContain("unwritten:latest");
    const told = await expectCli(["--cache-to", `${to},ignore-error=true`, folder]);
    expect(told.stderr).toContain("CACHE_NOT_EXPORTED");
    // What can be known before the build is told before it.
    const wrong = await cli(["--cache-to", "type=registry,ref=No Name", "-t", "early", folder]);
    expect([wrong.code, wrong.stderr.includes("REFERENCE_INVALID")]).toEqual([1, true]);
    expect(wrong.stderr).not.toContain("exporting to image");
    // Where no directory can be made.
    const nowhere = await cli(["--cache-to", "type=local,dest=/proc/no/where", folder]);
    expect([nowhere.code, nowhere.stderr.includes("/proc/no")]).toEqual([1, true]);
    const refused = await cli(["--cache-to", "type=gha,mode=max", folder]);
    expect([refused.code, refused.stderr.includes("OUTPUT_UNSUPPORTED")]).toEqual([1, true]);
  });
});

test("nothing that a build is only lent travels: secrets, cache mounts, files of the context [6.22]", async () => {
  const canaries = ["canary-of-secret", "canary-of-mount", "canary-of-context"];
  const folder = await context({
    Dockerfile: [
      "FROM BUSYBOX",
      "COPY taken /taken",
      "RUN --mount=type=secret,id=s --mount=type=cache,target=/c cat /run/secrets/s >/dev/null; echo canary-of-m''ount >/c/f",
      "",
    ].join("\n"),
    taken: "taken\n",
    left: "canary-of-context\n",
  });
  const secret = join(await makeFolder(), "secret");
  await writeFile(secret, "canary-of-secret\n");
  const directory = join(await makeFolder(), "cache");
  const to = `type=local,dest=${directory},mode=max,compression=uncompressed`;
  await expectCli(["--secret", `id=s,src=${secret}`, "--cache-to", to, folder]);
  const blobs = join(directory, "blobs/sha256");
  const all = await Promise.all((await readdir(blobs)).map((name) => readFile(join(blobs, name))));
  const bytes = Buffer.concat(all);
  expect(bytes.includes("taken")).toBe(true);
  for (const canary of canaries) expect([canary, bytes.includes(canary)]).toEqual([canary, false]);
});

/** What BuildKit leaves in a registry, as far as anybody has to look at it. */
async function pushForeign(name: string): Promise<void> {
  const layout = join(await makeFolder(), "layout");
  const directory = join(layout, "blobs/sha256");
  await exec("mkdir", ["-p", directory]);
  const put = async (mediaType: string, value: unknown): Promise<object> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    await writeFile(join(directory, digestHex(digest)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = await put("application/vnd.buildkit.cacheconfig.v0", { layers: [], records: [] });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await put(mediaType, { schemaVersion: 2, mediaType, config, layers: [] });
  const annotations = { "org.opencontainers.image.ref.name": "it" };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(layout, "index.json"), JSON.stringify(index));
  await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const insecure = ["--insecure-policy", "--dest-tls-verify=false"];
  await exec("skopeo", ["copy", ...insecure, `oci:${layout}:it`, `docker://${name}`]);
}

/** Does something to every layer of a cache. */
async function harmLayers(
  directory: string,
  harm: "gone" | "damaged" | "another's",
): Promise<void> {
  const blobs = join(directory, "blobs/sha256");
  const layers: string[] = [];
  for (const name of await readdir(blobs)) {
    if ((await readFile(join(blobs, name)))[0] === 0x1f) layers.push(name);
  }
  if (harm === "another's") {
    // Each layer is promised by the blob of another one.
    return changeCacheDocument(directory, ({ layers: promised, ...document }) => ({
      ...document,
      layers: promised.map((layer, at) => ({ ...layer, digest: promised.at(at - 1)?.digest })),
    }));
  }
  for (const name of layers) {
    const path = join(blobs, name);
    if (harm === "gone") await rm(path);
    else
      await writeFile(
        path,
        (await readFile(path)).map((byte, at) => (at === 20 ? byte ^ 1 : byte)),
      );
  }
}
