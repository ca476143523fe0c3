import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test, type TestContext } from "vitest";
import { removeTree } from "../../src/core/index.ts";
import { expectedOf, faultsOf, sampleFaults, tryFault } from "../crash/inject-loop.ts";
import { badTelling, brokenInvariants } from "../crash/invariants.ts";
import { killLoop } from "../crash/kills.ts";
import { freshPlace, makeBench, scenarios, type Bench } from "../crash/scenarios.ts";
import { environmentOf, runCli, tsbuildBin, type CliResult } from "../support/cli.ts";

const exec = promisify(execFile);

// What follows is a sample; `npm run crash` does as much as one likes.
const faultsEach = Number(process.env["TSBUILD_CRASH_FAULTS"] ?? 3);
const kills = Number(process.env["TSBUILD_CRASH_KILLS"] ?? 25);
const seed = Number(process.env["TSBUILD_CRASH_SEED"] ?? 1);

let bench: Bench;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-crash-"));
  bench = await makeBench(folder);
  return async () => removeTree(folder);
});

function needRoot(ctx: TestContext): void {
  if (process.getuid?.() !== 0) ctx.skip("devices, mounts and owners need root");
}

test.for(scenarios)("a system call of $name that fails, or kills", async (scenario, ctx) => {
  needRoot(ctx);
  const expected = await expectedOf(bench, scenario);
  const faults = await faultsOf(bench, scenario);
  expect(faults.length).toBeGreaterThan(20);
  for (const fault of sampleFaults(faults, { count: faultsEach, seed })) {
    const { defects, hit, stderr } = await tryFault(bench, { scenario, fault, expected });
    expect(defects, `${JSON.stringify(fault)}: ${String(hit)}\n${stderr}`).toEqual([]);
  }
});

test(`${String(kills)} times kill -9 at random moments on one store`, async (ctx) => {
  needRoot(ctx);
  const { defects, hits } = await killLoop(bench, { kills, seed });
  expect(defects).toEqual([]);
  expect(Object.values(hits).reduce((sum, count) => sum + count, 0)).toBe(kills);
});

test("a disk that fills up under each command, and has space again", async (ctx) => {
  needRoot(ctx);
  const disk = join(bench.folder, "disk");
  await mkdir(disk);
  // The prepared store takes 3 MB; what the commands write takes more than the rest.
  await exec("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", disk]);
  onTestFinished(async () => {
    await exec("umount", ["-l", disk]);
  });
  const root = join(disk, "root");
  const out = join(disk, "out");
  for (const scenario of scenarios) {
    if (!["copy", "run", "load", "save", "export-oci"].includes(scenario.name)) continue;
    await rm(root, { recursive: true, force: true });
    await rm(out, { recursive: true, force: true });
    await mkdir(out);
    if (scenario.isPrepared) await exec("cp", ["-a", bench.prepared, root]);
    await exec("sh", [
      "-c",
      `head -c 100M /dev/zero >${disk}/filler 2>/dev/null; truncate -s -300K ${disk}/filler`,
    ]);
    const args = scenario.args({ bench, out });
    const { code, stderr } = await runCli(args, { root });
    expect(code, scenario.name).toBe(1);
    // A RUN tells of it in its own words.
    if (scenario.name !== "run") {
      expect(stderr).toContain("[DISK_FULL]");
      expect(stderr).toContain("hint: free some space");
    }
    expect(badTelling(stderr), stderr).toEqual([]);
    await exec("mount", ["-o", "remount,size=100m", disk]);
    expect(await brokenInvariants(root), scenario.name).toEqual([]);
    expect(await runCli(args, { root }), scenario.name).toMatchObject({ code: 0 });
    expect(await readdir(out)).toEqual(
      scenario.name.includes("save") ? ["a.tar"] : scenario.name.includes("oci") ? ["oci.tar"] : [],
    );
    await rm(join(disk, "filler"));
    await rm(root, { recursive: true });
    await rm(out, { recursive: true });
    await exec("mount", ["-o", "remount,size=6m", disk]);
  }
});

test("a limit of the size of files is told, with what to do", async (ctx) => {
  needRoot(ctx);
  const scenario = scenarios.find(({ name }) => name === "copy");
  if (scenario === undefined) throw new Error("no scenario");
  const { root, out } = await freshPlace(bench, scenario, "limit");
  const args = scenario.args({ bench, out });
  const limited = await runLimited(args, { root, blocks: 2000 });
  expect(limited.code).toBe(1);
  expect(limited.stderr).toContain("ulimit -f");
  expect(badTelling(limited.stderr), limited.stderr).toEqual([]);
  expect(await brokenInvariants(root)).toEqual([]);
  expect(await runCli(args, { root })).toMatchObject({ code: 0 });
});

test("a store that may only be read is told as such", async (ctx) => {
  needRoot(ctx);
  const root = join(bench.folder, "read-only");
  await exec("cp", ["-a", bench.prepared, root]);
  await exec("mount", ["--bind", root, root]);
  onTestFinished(async () => {
    await exec("umount", ["-l", root]);
  });
  await exec("mount", ["-o", "remount,ro,bind", root]);
  const out = join(bench.folder, "read-only-out");
  await mkdir(out);
  for (const scenario of scenarios) {
    const { code, stderr } = await runCli(scenario.args({ bench, out }), { root });
    expect(code === 0 ? [] : badTelling(stderr), `${scenario.name}: ${stderr}`).toEqual([]);
    expect(stderr, scenario.name).toContain("STORE_UNAVAILABLE");
  }
});

test("layers that a power cut took are made again, those that were synced are not", async (ctx) => {
  needRoot(ctx);
  const scenario = scenarios.find(({ name }) => name === "copy");
  if (scenario === undefined) throw new Error("no scenario");
  const { root, out } = await freshPlace(bench, scenario, "power");
  const args = scenario.args({ bench, out });
  const { stdout } = await runCli(args, { root });
  const folder = join(root, "snapshots");
  const marked = (await readdir(folder)).filter((name) => name !== "empty");
  expect(marked.length).toBeGreaterThan(2);
  // As the next boot would find it when the sync had not come: the record there, the content lost.
  for (const name of marked) {
    await exec("mv", [join(folder, name, "meta.json"), join(folder, name, "unsynced.json")]);
    await exec("sed", [
      "-i",
      's/"bootId":"[^"]*"/"bootId":"before"/',
      join(folder, name, "unsynced.json"),
    ]);
    await exec("find", [
      join(folder, name, "fs"),
      "-type",
      "f",
      "-exec",
      "truncate",
      "-s",
      "0",
      "{}",
      "+",
    ]);
  }
  const told = await runCli(["save", "-o", "/dev/null", "app:1"], { root });
  expect(told).toMatchObject({ code: 1, stderr: expect.stringContaining("LOCAL_LAYER_MISSING") });
  expect(await runCli(args, { root })).toMatchObject({ code: 0, stdout });
  expect(await brokenInvariants(root)).toEqual([]);
});

/** The command under `ulimit -f`, in blocks of 512 bytes. */
async function runLimited(
  args: readonly string[],
  { root, blocks }: { readonly root: string; readonly blocks: number },
): Promise<CliResult> {
  const script = `ulimit -f ${String(blocks)}; exec "$@"`;
  const command = ["-c", script, "sh", process.execPath, tsbuildBin, ...args];
  const child = spawn("sh", command, {
    env: environmentOf({ root }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text.stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? 137, ...text };
}
