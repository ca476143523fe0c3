import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { startRelay } from "../support/relay.ts";
import { makeFolder } from "../support/setup-context.ts";
import { hostArch, otherArch, pushIndex, type WireDescriptor } from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, expectCli } = workspace;

interface WireIndex {
  readonly mediaType: string;
  readonly manifests: readonly WireDescriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

let both: string | undefined;

beforeEach(async () => {
  both ??= await pushIndex(workspace, "tools/both");
});

function index(): string {
  if (both === undefined) throw new Error("no index");
  return both;
}

async function raw(name: string): Promise<string> {
  return runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${name}`]);
}

async function remote(name: string): Promise<WireIndex> {
  return JSON.parse(await raw(name)) as WireIndex;
}

async function create(...args: string[]): Promise<string> {
  return (await expectCli(["imagetools", "create", "-q", ...args])).stdout.trim();
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function nameOf(tag: string): string {
  return `${workspace.registry.host}/tools/made:${tag}`;
}

/** `repository@digest` of the index' image for an architecture. */
async function one(arch: string): Promise<string> {
  const { manifests } = await remote(index());
  const found = manifests.find(({ platform }) => platform?.architecture === arch);
  return `${index().replace(/:1$/, "")}@${found?.digest ?? ""}`;
}

test("images become an index under several names, and no blob is sent twice [R17.15]", async () => {
  const { host, requests } = await startRelay(workspace.registry.host);
  const through = (name: string): string => name.replace(workspace.registry.host, host);
  const file = join(await makeFolder(), "metadata.json");
  const digest = await create(
    ...["-t", through(nameOf("1")), "-t", through(nameOf("2")), "--metadata-file", file],
    ...[through(await one(hostArch)), through(await one(otherArch))],
  );
  const bytes = await raw(nameOf("1"));
  expect(digestOf(bytes)).toBe(digest);
  expect(await raw(nameOf("2"))).toBe(bytes);
  const { manifests } = await remote(index());
  expect((JSON.parse(bytes) as WireIndex).manifests).toEqual(manifests);
  expect(requests.filter((each) => /^(?:PUT|PATCH) .*\/blobs/.test(each))).toEqual([]);
  expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({
    "containerimage.descriptor": { digest, size: bytes.length },
    "image.name": `${through(nameOf("1"))},${through(nameOf("2"))}`,
  });
});

test("one index is copied as it is, one image is wrapped unless told otherwise [R17.15]", async () => {
  expect(await create("-t", nameOf("copy"), index())).toBe(digestOf(await raw(index())));
  const [, digest] = (await one(otherArch)).split("@");
  const wrapped = JSON.parse(
    await create("--dry-run", "-t", nameOf("dry"), await one(otherArch)),
  ) as WireIndex;
  expect(wrapped.manifests).toMatchObject([
    { digest, platform: { os: "linux", architecture: otherArch } },
  ]);
  expect(errorCode(await cli(["image", "inspect", `docker://${nameOf("dry")}`]))).toBe(
    "IMAGE_NOT_FOUND",
  );
  expect(await create("--prefer-index=false", "-t", nameOf("plain"), await one(otherArch))).toBe(
    digest,
  );
});

test("--append adds, --platform keeps; digests and descriptors are sources too [R17.15]", async () => {
  const repository = index().replace(/:1$/, "");
  const entries = (await remote(index())).manifests;
  const [host, other] = entries;
  const grown = `${repository}:grown`;
  await create("-t", grown, "--annotation", "index:kept=yes", host?.digest ?? "");
  const file = join(await makeFolder(), "descriptor.json");
  await writeFile(file, JSON.stringify({ ...other, annotations: { from: "file" } }));
  await create("-t", grown, "--append", "-f", file);
  expect(await remote(grown)).toMatchObject({
    annotations: { kept: "yes" },
    manifests: [{ digest: host?.digest }, { digest: other?.digest, annotations: { from: "file" } }],
  });
  await create("-t", nameOf("some"), "-p", `linux/${otherArch}`, index());
  expect((await remote(nameOf("some"))).manifests).toEqual([other]);
});

test("annotations are those of the index; others are refused [R17.16]", async () => {
  await create(
    ...["-t", nameOf("said"), "--annotation", "index:of=all"],
    ...["--annotation", `manifest-descriptor[linux/${otherArch}]:of=one`, index()],
  );
  const said = await remote(nameOf("said"));
  expect(said.annotations).toEqual({ of: "all" });
  expect(said.manifests.map(({ annotations }) => annotations)).toEqual([undefined, { of: "one" }]);
  const told = await expectCli(["imagetools", "inspect", nameOf("said")]);
  for (const word of [`Name:      ${nameOf("said")}`, `Platform:  linux/${otherArch}`, "of: one"]) {
    expect(told.stdout).toContain(word);
  }
  const inspect = ["imagetools", "inspect", nameOf("said")];
  expect((await expectCli([...inspect, "--raw"])).stdout).toBe(await raw(nameOf("said")));
  expect((await expectCli([...inspect, "--format", "{{.Manifest.Digest}}"])).stdout.trim()).toBe(
    digestOf(await raw(nameOf("said"))),
  );
});

test("bad input is told before anything is sent [R17.15, R17.16]", async () => {
  const tries: readonly (readonly [code: number, error: string, ...args: string[]])[] = [
    [2, "USAGE", "-t", nameOf("bad")],
    [2, "USAGE", index()],
    [2, "USAGE", "-t", nameOf("bad"), "--annotation", "who=me", index()],
    [2, "USAGE", "--dry-run", `sha256:${"0".repeat(64)}`],
    [2, "USAGE", "-t", nameOf("bad"), "{}"],
    [1, "IMAGE_NOT_FOUND", "-t", nameOf("bad"), `${index()}23`],
    [1, "IMAGE_PLATFORM_NOT_FOUND", "-t", nameOf("bad"), "-p", "linux/s390x", index()],
  ];
  for (const [code, error, ...args] of tries) {
    const result = await cli(["imagetools", "create", ...args]);
    expect([result.code, errorCode(result)], args.join(" ")).toEqual([code, error]);
    expect(result.stderr).toContain("hint: ");
  }
  const tls = await cli(["imagetools", "create", "--tls-verify=maybe", "-t", "a", "b"]);
  expect([tls.code, errorCode(tls)]).toEqual([2, "USAGE"]);
});
