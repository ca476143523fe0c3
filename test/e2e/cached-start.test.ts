import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tsbuildBin } from "../support/cli.ts";
import { runProgram, useWorkspace } from "../support/setup-workspace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/*
 * What a build asks of the kernel whose steps are all cached. Its time is that of its calls and of loading its code;
 * counting calls gives the same answer on every machine.
 */

const workspace = useWorkspace({ programs: ["strace"] });
const { context, expectCli } = workspace;

/** One call a line, of all threads, in the order in which they began. */
async function traceBuild(folder: string, name: string): Promise<readonly string[]> {
  const trace = join(await temporaryFolder(), "trace");
  const words = ["-f", "-qq", "-e", "trace=%file,%desc,clone3,execve", "-o", trace];
  const args = [tsbuildBin, "--root", workspace.root, "-t", name, folder];
  await runProgram("strace", [...words, process.execPath, ...args]);
  const lines = (await readFile(trace, "utf8")).split("\n");
  return lines.filter((line) => !line.includes("resumed>"));
}

/** Builds a base of so many files and something on it; the calls of its fourth rebuild: the first three keep their code. */
async function callsOnBaseOf(count: number): Promise<readonly string[]> {
  const data = await temporaryFolder();
  for (let i = 0; i < count; i++) {
    if (i % 100 === 0) await mkdir(join(data, String(i / 100)));
    await writeFile(join(data, String(Math.floor(i / 100)), String(i)), "");
  }
  await writeFile(join(data, "Dockerfile"), `FROM ${workspace.busybox}\nCOPY . /data\n`);
  await expectCli(["-t", `base-${String(count)}:1`, data]);
  const folder = await context({
    Dockerfile: `FROM base-${String(count)}:1\nENV A=1\nWORKDIR /app\nCOPY a .\nRUN cat a >b\nCMD ["true"]\n`,
    a: "a\n",
  });
  const name = `on-${String(count)}:1`;
  for (let i = 0; i < 4; i++) await expectCli(["-t", name, folder]);
  return traceBuild(folder, name);
}

const opened = (calls: readonly string[]): readonly string[] =>
  calls.filter((call) => /\bopen(?:at2?)?\(/.test(call));

/**
 * How often the main thread asked what of the file system. Other threads are Node's, and how often memory is mapped or
 * events are read is a matter of luck; so is whether the C library gives memory back, for which it looks into /proc.
 */
function tally(calls: readonly string[]): Readonly<Record<string, number>> {
  const main = calls[0]?.split(" ")[0];
  const tallied: Record<string, number> = {};
  for (const call of calls) {
    const [thread, name = ""] = /^(\d+) +(\w+)\(/.exec(call)?.slice(1) ?? [];
    const isOfFiles = /open|stat|access|link|dir|rename|getdents/.test(name);
    const isOfMemory = call.includes('"/proc/sys/vm/overcommit_memory"');
    if (thread === main && isOfFiles && !isOfMemory) tallied[name] = (tallied[name] ?? 0) + 1;
  }
  return tallied;
}

test("a cached rebuild costs the same on any base, waits for no disk, and loads no foreign library", async () => {
  const small = await callsOnBaseOf(1);
  const large = await callsOnBaseOf(2000);
  expect(opened(small).length).toBeGreaterThan(20);
  expect(tally(large)).toEqual(tally(small));
  // Of our own code only what every command loads, which is written so that a cached rebuild needs no more.
  const scripts = opened(large).flatMap(
    (call) => /\/dist\/(\S*?)(?:-[\w-]{8})?\.js"/.exec(call)?.[1] ?? [],
  );
  expect(scripts).toEqual(["start", "cli", "chunks/rolldown-runtime", "chunks/library"]);
  const files = large.map((call) => /"([^"]*)"/.exec(call)?.[1] ?? "");
  // Neither the base's files nor its layer.
  expect(files.filter((path) => /\/snapshots\/[^/]*\/fs\//.test(path))).toEqual([]);
  expect(files.filter((path) => path.includes("koffi") || path.endsWith(".node"))).toEqual([]);
  expect(large.filter((call) => /\b(?:fsync|fdatasync|syncfs|sync)\(/.test(call))).toEqual([]);
  expect(large.filter((call) => call.includes("execve(")).length).toBeLessThanOrEqual(1);
  // Outside of the process' own folder nothing is written: the build did what the last one did.
  const written = opened(large).filter((call) => /O_(?:WRONLY|RDWR|CREAT)/.test(call));
  expect(written.filter((call) => call.includes(`"${workspace.root}/`))).toEqual(
    written.filter((call) => call.includes(`"${workspace.root}/tmp/`)),
  );
});

test("a cached rebuild reads its records without the threads of Node's pool", async () => {
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nCOPY a .\nRUN cat a\n", a: "a\n" });
  for (let i = 0; i < 4; i++) await expectCli(["-t", "threads:1", folder]);
  const calls = await traceBuild(folder, "threads:1");
  const main = calls[0]?.split(" ")[0];
  const ours = opened(calls).filter((call) =>
    [workspace.root, folder].some((path) => call.includes(`"${path}/`)),
  );
  expect(ours.length).toBeGreaterThan(10);
  // Node itself reads files of the system from threads, which those are differs.
  expect(ours.filter((call) => call.split(" ")[0] !== main)).toEqual([]);
});
