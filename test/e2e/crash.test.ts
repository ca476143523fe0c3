import { execFile } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test, type TestContext } from "vitest";
import { expectedOf, faultsOf, sampleFaults, tryFault } from "../crash/inject-loop.ts";
import { badTelling, brokenInvariants } from "../crash/invariants.ts";
import { killLoop } from "../crash/kills.ts";
import { pseudoRandom } from "../support/random.ts";
import { freshPlace, makeBench, scenarios, type Bench } from "../crash/scenarios.ts";
import { canRunShort, shortages, tryShortage } from "../crash/shortages.ts";
import { environmentOf, expectCli, runCli, tsbuildBin, type CliResult } from "../support/cli.ts";

const exec = promisify(execFile);

// What follows is a sample; `npm run crash` does as much as one likes.
const faultsEach = Number(process.env["TSBUILD_CRASH_FAULTS"] ?? 3);
const kills = Number(process.env["TSBUILD_CRASH_KILLS"] ?? 25);
const shortagesEach = Number(process.env["TSBUILD_CRASH_SHORTAGES"] ?? 1);
const seed = Number(process.env["TSBUILD_CRASH_SEED"] ?? 1);

let bench: Bench;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-crash-"));
  bench = await makeBench(folder);
  return async () => bench.remove();
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

test("what runs short under a command is told, and with enough of it the next run succeeds", async (ctx) => {
  needRoot(ctx);
  const random = pseudoRandom(seed);
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  for (const kind of ["space", "files", "file size", "writing"]) {
    for (let turn = 0; turn < shortagesEach; turn++) {
      const scenario = pick(scenarios.filter(canRunShort));
      const shortage = pick(shortages.filter((each) => each.kind === kind));
      if (scenario === undefined || shortage === undefined) throw new Error("nothing to pick");
      const expected = await expectedOf(bench, scenario);
      const { defects, stderr } = await tryShortage(bench, { scenario, shortage, expected });
      expect(defects, `${scenario.name} ${JSON.stringify(shortage)}\n${stderr}`).toEqual([]);
    }
  }
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

describe("a store of which a part belongs to somebody else", () => {
  const parts = [".", "blobs/sha256", "snapshots", "tmp"];
  test.for(parts)("%s", async (part, ctx) => {
    needRoot(ctx);
    const { out, root } = await freshPlace(bench, { isPrepared: true }, "foreign");
    const place = join(root, part);
    await chown(place, 65_534, 65_534);
    await chmod(place, 0o700);
    for (const name of ["copy", "save", "load", "pull", "prune"]) {
      const scenario = scenarios.find((each) => each.name === name);
      if (scenario === undefined) throw new Error(`no scenario ${name}`);
      const told = await runOrdinary(scenario.args({ bench, out }), root);
      expect(told.code, `${name}: ${told.stderr}`).not.toBe(137);
      if (told.code === 0) continue;
      expect(badTelling(told.stderr), `${name}: ${told.stderr}`).toEqual([]);
      expect(told.stderr, name).toMatch(/\[STORE_UNAVAILABLE\]$|^hint: check the owner/m);
    }
    await chown(place, 0, 0);
    // Where pruning went through, it is gone.
    await expectCli(["load", "-i", bench.archive], { root });
    await expectCli(["save", "-o", "/dev/null", "base:1"], { root });
    expect(await brokenInvariants(root)).toEqual([]);
  });
});

/** As root that may only read and write what root owns, as it is with a store on a server. */
async function runOrdinary(args: readonly string[], root: string): Promise<CliResult> {
  const lost = "-dac_override,-dac_read_search,-fowner";
  const command = ["--bounding-set", lost, process.execPath, tsbuildBin, ...args];
  const running = execFile("setpriv", command, { env: environmentOf({ root }) });
  const text = { stdout: "", stderr: "" };
  running.stdout?.on("data", (chunk: string) => (text.stdout += chunk));
  running.stderr?.on("data", (chunk: string) => (text.stderr += chunk));
  const [code] = (await once(running, "close")) as [number | null];
  return { code: code ?? 137, ...text };
}
