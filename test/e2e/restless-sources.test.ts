import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { digestOf } from "../../src/core/index.ts";
import { pseudoRandom } from "../support/random.ts";
import { expectCli, runCli, type CliResult } from "../support/cli.ts";
import { type FileState, isContentOf } from "../support/restless-content.ts";
import { startRestlessProcess } from "../support/restless-process.ts";
import { errorCode, whatIsLacking } from "../support/setup-workspace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const exec = promisify(execFile);

// Another process changes the sources while they are copied. `TSBUILD_RESTLESS_ROUNDS=300` for more of it.
const rounds = Number(process.env["TSBUILD_RESTLESS_ROUNDS"] ?? 4);
const seed = Number(process.env["TSBUILD_RESTLESS_SEED"] ?? 1);

/** Milliseconds between changes: some builds come through, others cannot. */
const gaps = [0, 3, 30, 100, 300, 1000, 3000] as const;

const honestFailures = [
  "CONTEXT_FILE_CHANGED",
  "CONTEXT_UNREADABLE",
  "CONTEXT_SOURCE_NOT_FOUND",
  "SNAPSHOT_SOURCE_CHANGED",
];

test("COPY of files that change without pause: true images of what there was, or an honest error", async (ctx) => {
  const lacking = whatIsLacking(["tar"]);
  if (lacking !== undefined) return ctx.skip(lacking);
  const folder = await temporaryFolder();
  await mkdir(join(folder, "outside"));
  await writeFile(join(folder, "outside/secret"), "nobody may read this");
  const changing = await startRestlessProcess(folder, seed);
  onTestFinished(async () => changing.end());
  await writeFile(join(folder, "Dockerfile"), "FROM scratch\nCOPY tree /tree\n");
  const random = pseudoRandom(seed);
  const told: Record<string, number> = {};
  for (let round = 0; round < rounds; round++) {
    const gap = gaps[Math.floor(random() * gaps.length)] ?? 0;
    await changing.go(gap);
    const attacked = await buildImage(folder, "attacked");
    const states = await changing.stop();
    const where = `round ${String(round)}, ${String(gap)} ms between changes`;
    const outcome = attacked.code === 0 ? "an image" : (errorCode(attacked) ?? "no code");
    told[outcome] = (told[outcome] ?? 0) + 1;
    if (attacked.code === 0)
      await expectStates(await unpackImage(folder, "attacked"), states, where);
    else expect(honestFailures, `${where}: ${attacked.stderr}`).toContain(outcome);

    // What was remembered of the restless time is nothing that was not so.
    const calm = await buildImage(folder, "calm");
    expect(calm, where).toMatchObject({ code: 0 });
    const { stdout, stderr } = await exec("diff", [
      ...["--recursive", "--no-dereference", "--brief"],
      ...[join(folder, "tree"), join(await unpackImage(folder, "calm"), "tree")],
    ]).catch((error: unknown) => error as { readonly stdout: string; readonly stderr: string });
    expect(stdout + stderr, where).toBe("");
  }
  if (rounds > 100) console.log(told);
  const verified = await expectCli(["system", "verify"], { root: join(folder, "root") });
  expect(verified.stdout + verified.stderr).toContain("nothing is damaged");
});

async function buildImage(folder: string, name: string): Promise<CliResult> {
  const output = `type=oci,tar=false,compression=uncompressed,dest=${join(folder, name)}`;
  await rm(join(folder, name), { recursive: true, force: true });
  return runCli(["build", "-q", "-o", output, folder], { root: join(folder, "root") });
}

/** Every digest is that of its content. Answers the folder with what GNU tar makes of the layers. */
async function unpackImage(folder: string, name: string): Promise<string> {
  const blob = (digest: string): string => join(folder, name, "blobs", digest.replace(":", "/"));
  const read = async (path: string) => JSON.parse(await readFile(path, "utf8")) as ImageDocument;
  const [first] = (await read(join(folder, name, "index.json"))).manifests;
  const { config, layers } = await read(blob(first?.digest ?? ""));
  const { rootfs } = await read(blob(config.digest));
  expect(layers.map(({ digest }) => digest)).toEqual(rootfs.diff_ids);
  const place = join(folder, name, "unpacked");
  await mkdir(place);
  for (const { digest } of layers) {
    expect(digestOf(await readFile(blob(digest)))).toBe(digest);
    await exec("tar", ["-xf", blob(digest), "-C", place]);
  }
  return place;
}

interface ImageDocument {
  readonly manifests: readonly { readonly digest: string }[];
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** Every file has a content that some file of the tree had, and every link leads where they all do. */
async function expectStates(
  place: string,
  states: readonly FileState[],
  where: string,
): Promise<void> {
  const bySerial = new Map<number, FileState[]>();
  for (const state of states) {
    for (const serial of [state.serial, ...(state.kind === "over" ? [state.below.serial] : [])]) {
      bySerial.set(serial, [...(bySerial.get(serial) ?? []), state]);
    }
  }
  const nodes = await readdir(join(place, "tree"), { recursive: true, withFileTypes: true });
  for (const node of nodes) {
    const path = join(node.parentPath, node.name);
    if (node.isDirectory()) expect(path).toMatch(/\/tree\/d\d+(\.away)?$/);
    else if (node.isSymbolicLink()) expect(await readlink(path)).toMatch(/\/outside(\/secret)?$/);
    else {
      const content = await readFile(path);
      const serial = parseInt(content.subarray(0, 7).toString("latin1"), 36);
      const candidates = content.length < 16 ? states : (bySerial.get(serial) ?? []);
      const isTrue = candidates.some((state) => isContentOf(state, content));
      expect(isTrue, `${where}: ${path}, ${String(content.length)} bytes`).toBe(true);
    }
  }
}
