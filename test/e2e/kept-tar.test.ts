import { copyFile, mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { removeTree } from "../../src/core/index.ts";
import { expectCli } from "../support/cli.ts";

const files = 40;

let folder: string;
let root: string;
let context: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-kept-tar-"));
  onTestFinished(async () => removeTree(folder));
  root = join(folder, "root");
  context = join(folder, "context");
  await mkdir(join(context, "app"), { recursive: true });
  await copyFile("/bin/busybox", join(context, "app", "busybox"));
  for (let file = 0; file < files; file++)
    await writeFile(join(context, "app", `f${String(file)}`), `${String(file)} of them\n`);
});

/** Builds those lines in `state`; the image ID. */
async function build(
  lines: readonly string[],
  { state = root, flags = [] }: { readonly state?: string; readonly flags?: string[] } = {},
): Promise<string> {
  const input = ["FROM scratch", ...lines].join("\n");
  const fixed = ["--build-arg", "SOURCE_DATE_EPOCH=0", "-q", "-t", "app:1"];
  const args = ["build", ...fixed, ...flags, "-f", "-", context];
  const { stdout } = await expectCli(args, { root: state, input });
  return stdout.trim();
}

/** Layers that lie there as tars, and files of layers. */
async function layersIn(state: string): Promise<{ tars: number; files: number }> {
  const names = await readdir(join(state, "snapshots"), { recursive: true });
  const isFile = /\/fs(\/.*)?\/f\d+$/;
  return {
    tars: names.filter((name) => name.endsWith("/layer.tar")).length,
    files: names.filter((name) => isFile.test(name)).length,
  };
}

const copy = "COPY app /app/";
const cmd = 'CMD ["/app/busybox", "cat", "/app/f7"]';
const run = 'RUN ["/app/busybox", "cat", "/app/f7"]';

test("what a COPY made and nobody reads is one file, through save and a prune", async () => {
  const id = await build([copy, "ENV A=b", cmd]);
  expect(await layersIn(root)).toEqual({ tars: 1, files: 0 });
  // The same digests where the step after it needs files.
  const other = join(folder, "other");
  await build([copy, run], { state: other });
  expect(await layersIn(other)).toEqual({ tars: 0, files });
  expect(await build([copy, "ENV A=b", cmd], { state: other })).toBe(id);
  const [one, two] = [join(folder, "one.tar"), join(folder, "two.tar")];
  await expectCli(["save", "-o", one, "app:1"], { root });
  await expectCli(["save", "-o", two, "app:1"], { root: other });
  await expectCli(["load", "-i", one], { root: join(folder, "third") });
  const { stdout } = await expectCli(["system", "verify"], { root });
  expect(stdout).toContain("nothing is damaged");
  expect(await layersIn(root)).toEqual({ tars: 1, files: 0 });
  await expectCli(["system", "prune"], { root });
  expect(await layersIn(root)).toEqual({ tars: 1, files: 0 });
  await expectCli(["rmi", "app:1"], { root });
  await expectCli(["system", "prune", "--all"], { root });
  expect(await layersIn(root)).toEqual({ tars: 0, files: 0 });
});

test("a later build that needs the files makes them of the tar, and the tar goes", async () => {
  await build([copy, cmd]);
  expect(await layersIn(root)).toEqual({ tars: 1, files: 0 });
  await build([copy, run, cmd]);
  expect(await layersIn(root)).toEqual({ tars: 0, files });
});

test("a container on it sees the files, and the next build that uses them removes the tar", async (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip("needs root");
  await build([copy, cmd]);
  const { stdout } = await expectCli(["run", "--rm", "app:1"], { root });
  expect(stdout).toBe("7 of them\n");
  expect(await layersIn(root)).toEqual({ tars: 1, files });
  await build([copy, run]);
  expect(await layersIn(root)).toEqual({ tars: 0, files });
});

test("outputs that write files, and steps of other stages, need no tar", async () => {
  const out = join(folder, "out");
  await build([copy], { flags: ["-o", out] });
  expect(await layersIn(root)).toEqual({ tars: 0, files });
  expect((await readdir(join(out, "app"))).length).toBe(files + 1);
  const other = join(folder, "other");
  await build([copy, "FROM scratch", "COPY --from=0 /app /b"], { state: other });
  // The first stage is read, the copy of it is not.
  expect(await layersIn(other)).toEqual({ tars: 1, files });
});

test("COPY --link is one tar under two names, whatever is below", async () => {
  await build(["COPY app/f1 /f1", "COPY --link app /app/", cmd]);
  // The layer, and the layer where it lies.
  expect(await layersIn(root)).toMatchObject({ tars: 2, files: 1 });
  await build(["COPY app/f1 /f1", "COPY --link app /app/", run]);
  expect(await layersIn(root)).toMatchObject({ tars: 1, files: 1 + files });
});

test("what COPY --link puts a file on is never made twice", async () => {
  await build(["COPY --link app /app/", "COPY --link app/f1 /b/"]);
  expect(await layersIn(root)).toMatchObject({ tars: 0, files: files + 2 });
  // Of several the last one stays a tar.
  await build(["COPY --link app /app/", "COPY --link app/f1 /b/", "COPY --link app /c/"]);
  expect(await layersIn(root)).toMatchObject({ tars: 2, files: files + 2 });
});
