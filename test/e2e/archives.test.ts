import { copyFile, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readArchive } from "../support/setup-archive.ts";
import { makeFolder } from "../support/setup-context.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["umoci"] });
const { cli, context, expectCli, inspect } = workspace;

async function build(name: string, text: string): Promise<void> {
  await expectCli(["-t", name, await context({ Dockerfile: `FROM BUSYBOX\n${text}` })]);
}

test("save and load carry an image from store to store, id and all", async () => {
  await build("carry:1", 'RUN echo carried >/f\nENTRYPOINT ["cat"]\nCMD ["/f"]\n');
  const archive = join(await makeFolder(), "image.tar");
  await expectCli(["save", "-o", archive, "carry:1"]);
  const root = await workspace.freshRoot();
  const loaded = await expectCli(["load", "-i", archive], { root });
  expect(loaded.stdout).toContain("carry:1");
  expect((await expectCli(["run", "--rm", "carry:1"], { root })).stdout).toBe("carried\n");
  const { stdout } = await expectCli(["inspect", "carry:1"], { root });
  expect((JSON.parse(stdout) as { Id: string }[])[0]?.Id).toBe((await inspect("carry:1")).Id);
});

test("the archive has the files that docker, podman and skopeo look for, for every name", async () => {
  await build("names:1", "RUN echo 1 >/1\n");
  await build("names:2", "RUN echo 1 >/1\nRUN echo 2 >/2\n");
  const archive = join(await makeFolder(), "image.tar");
  await expectCli(["save", "-o", archive, "names:1", "names:2"]);
  const { files, index } = await readArchive(archive);
  for (const name of ["index.json", "oci-layout", "manifest.json"]) expect(files).toContain(name);
  expect(index.manifests).toHaveLength(2);
  expect(new Set(files).size).toBe(files.length);
  const manifest = JSON.parse(await runProgram("tar", ["xOf", archive, "manifest.json"])) as {
    RepoTags: string[];
    Layers: string[];
  }[];
  expect(manifest.flatMap(({ RepoTags }) => RepoTags)).toEqual(["names:1", "names:2"]);
  for (const layer of manifest.flatMap(({ Layers }) => Layers)) expect(files).toContain(layer);
});

test("save writes every tag of a repository, in any form, to a file or a stream [R10.9, R10.10]", async () => {
  await build("every:1", "RUN echo 1 >/1\n");
  await build("every:2", "RUN echo 2 >/2\n");
  await build("everyone:1", "RUN echo 3 >/3\n");
  const folder = await makeFolder();
  const layout = join(folder, "layout");
  await expectCli(["save", "--format", "oci-dir", "-o", layout, "every"]);
  const tags = (await runProgram("umoci", ["list", "--layout", layout])).trim().split("\n");
  expect(tags.sort()).toEqual(["1", "2"]);
  const script =
    '"$0" "$1" save --format oci-archive -o - every >"$2" && "$0" "$1" load -i - <"$2"';
  const bin = join(import.meta.dirname, "../../bin/tsbuild.js");
  const root = await workspace.freshRoot();
  const file = join(folder, "every.tar");
  const env = { ...process.env, TSBUILD_ROOT: workspace.root };
  await runProgram("sh", ["-c", script, process.execPath, bin, file], { env });
  const loaded = await expectCli(["load", "-i", layout], { root });
  expect(loaded.stdout.trim().split("\n").sort()).toEqual([
    "Loaded image: every:1",
    "Loaded image: every:2",
  ]);
  expect((await expectCli(["run", "--rm", "every:2", "cat", "/2"], { root })).stdout).toBe("2\n");
  const { index, files } = await readArchive(file);
  expect(files).not.toContain("manifest.json");
  expect(index.manifests).toHaveLength(2);
  expect(errorCode(await cli(["save", "-o", file, "no-such-repository"]))).toBe("IMAGE_NOT_FOUND");
  expect((await cli(["save", "--format", "oci-dir", "every"])).code).toBe(2);
});

test("a loaded name that another image had is told [R10.11]", async () => {
  await build("moved:1", "RUN echo new >/n\n");
  const archive = join(await makeFolder(), "moved.tar");
  await expectCli(["save", "-o", archive, "moved:1"]);
  expect((await expectCli(["load", "-i", archive])).stdout).toBe("Loaded image: moved:1\n");
  await build("moved:1", "RUN echo other >/n\n");
  const { Id } = await inspect("moved:1");
  expect((await expectCli(["load", "-i", archive])).stdout).toBe(
    `The image moved:1 already exists, renaming the old one with ID ${Id} to empty string\nLoaded image: moved:1\n`,
  );
});

test("saving twice gives the same bytes", async () => {
  await build("stable:1", "RUN echo stable >/s\n");
  const folder = await makeFolder();
  for (const name of ["one.tar", "two.tar"]) {
    await expectCli(["save", "-o", join(folder, name), "stable:1"]);
  }
  await runProgram("cmp", [join(folder, "one.tar"), join(folder, "two.tar")]);
});

test("a level that is asked for is that of layers that were built here, and no level is the usual one, whatever left before", async () => {
  const words = Array.from({ length: 50_000 }, (_, at) => ((at * at * 31) % 9973).toString(36));
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nCOPY f /\n", f: words.join(" ") });
  const layersAt = async (root: string, ...flags: string[]): Promise<readonly string[]> => {
    const layout = join(await makeFolder(), "layout");
    await expectCli(["save", "--format", "oci-dir", "-o", layout, ...flags, "leveled:1"], { root });
    const { stdout } = await expectCli(["image", "inspect", "--raw", `oci:${layout}`], { root });
    const { layers } = JSON.parse(stdout) as { readonly layers: readonly { digest: string }[] };
    return layers.map(({ digest }) => digest);
  };
  const [one, two] = [await workspace.freshRoot(), await workspace.freshRoot()];
  for (const root of [one, two]) await expectCli(["-t", "leveled:1", folder], { root });
  const level = (number: number): string[] => ["--compression-level", String(number)];
  const quick = await layersAt(one, ...level(1));
  const high = await layersAt(one, ...level(9));
  const usual = await layersAt(one);
  // The base was pulled and stays; the layer above it was built.
  expect(new Set([quick[0], high[0], usual[0]]).size).toBe(1);
  expect(new Set([quick[1], high[1], usual[1]]).size).toBe(3);
  expect(await layersAt(two)).toEqual(usual);
  expect(await layersAt(two, ...level(9))).toEqual(high);
  const forced = await layersAt(one, ...level(9), "--force-compression");
  expect(forced[0]).not.toBe(usual[0]);
  expect(forced[1]).toBe(high[1]);
  expect(await layersAt(one)).toEqual(usual);
  const output = join(await makeFolder(), "built");
  const spec = `type=oci,tar=false,compression-level=1,dest=${output}`;
  await expectCli(["-t", "leveled:2", "-o", spec, folder], { root: one });
  const { stdout } = await expectCli(["image", "inspect", "--raw", `oci:${output}`], { root: one });
  expect(JSON.parse(stdout)).toMatchObject({ layers: quick.map((digest) => ({ digest })) });
  const copied = join(await makeFolder(), "copied");
  await expectCli(["image", "cp", "leveled:1", `oci:${copied}`], { root: one });
  const copy = await expectCli(["image", "inspect", "--raw", `oci:${copied}`], { root: one });
  expect(JSON.parse(copy.stdout)).toMatchObject({ layers: usual.map((digest) => ({ digest })) });
});

test("-o writes archives that load elsewhere, oci and docker", async () => {
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo out >/o\n" });
  for (const type of ["oci", "docker"]) {
    const archive = join(await makeFolder(), `${type}.tar`);
    await expectCli(["-t", `out:${type}`, "-o", `type=${type},dest=${archive}`, folder]);
    const root = await workspace.freshRoot();
    await expectCli(["load", "-i", archive], { root });
    const { stdout } = await expectCli(["run", "--rm", `out:${type}`, "cat", "/o"], { root });
    expect(stdout).toBe("out\n");
  }
});

test("an archive without the image that is asked for is not written", async () => {
  const archive = join(await makeFolder(), "none.tar");
  const result = await cli(["save", "-o", archive, "no-such-image"]);
  expect(result.code).toBe(1);
  expect(errorCode(result)).toBe("IMAGE_NOT_FOUND");
  await expect(runProgram("ls", [archive])).rejects.toThrow();
});

test("every truncation of an archive is refused and leaves no name behind", async () => {
  await build("cut:1", "RUN head -c 300000 /dev/urandom >/noise\n");
  const whole = join(await makeFolder(), "whole.tar");
  await expectCli(["save", "-o", whole, "cut:1"]);
  const { size } = await stat(whole);
  const root = await workspace.freshRoot();
  for (const part of [0.1, 0.5, 0.9]) {
    const cut = `${whole}.cut`;
    await copyFile(whole, cut);
    await truncate(cut, Math.floor(size * part));
    const result = await cli(["load", "-i", cut], { root });
    expect(result.code, `cut at ${String(part)}`).toBe(1);
    expect(errorCode(result)).toMatch(/^(ARCHIVE|LAYER)_/);
    expect((await expectCli(["images", "-q"], { root })).stdout).toBe("");
  }
  await expectCli(["load", "-i", whole], { root });
  await expectCli(["run", "--rm", "cut:1", "true"], { root });
});
