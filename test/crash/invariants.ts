import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runCli } from "../support/cli.ts";

/** What is wrong with a store after whatever happened to it; nothing when it is true. */
export async function brokenInvariants(root: string): Promise<readonly string[]> {
  const broken: string[] = [];
  const verified = await runCli(["system", "verify"], { root });
  if (verified.code !== 0) broken.push(`system verify: ${verified.stdout}${verified.stderr}`);
  for (const path of await readdir(root, { recursive: true })) {
    // Beginnings of downloads have a folder of their own.
    if (/^(tmp|snapshots)\/|^partial(\/|$)/.test(path)) continue;
    const name = path.split("/").at(-1) ?? "";
    if (/partial|^write-|^blob-|^snapshot-/.test(name)) broken.push(`${path} lies outside tmp/`);
  }
  for (const left of await leftInTmp(root)) broken.push(`tmp/${left} is not swept`);
  return broken;
}

/** What a process made before it had a folder with a lock is kept for an hour: somebody may just be making it. */
async function leftInTmp(root: string): Promise<readonly string[]> {
  const left = async (): Promise<string[]> =>
    (await readdir(join(root, "tmp"))).filter((name) => !/^(new|write)-/.test(name));
  // Sweeping goes on beside the work and ends with it, so that a short command may leave some.
  for (let turn = 0; turn < 200 && (await left()).length > 0; turn++) {
    await runCli(["images"], { root });
  }
  return left();
}

/** Files beside a destination that nobody asked for. */
export async function strayOutputs(out: string): Promise<readonly string[]> {
  return (await readdir(out)).filter((name) => name.includes("partial"));
}

/** What is wrong with how a failed command told of it. */
export function badTelling(stderr: string): readonly string[] {
  const broken: string[] = [];
  const heads = stderr.split("\n").filter((line) => /^tsbuild: .*\[[A-Z_]+\]$/.test(line));
  if (heads.length !== 1) broken.push(`${String(heads.length)} errors are told`);
  if (heads.some((line) => line.includes("[INTERNAL]"))) broken.push("told as a defect");
  if (!/^hint: /m.test(stderr)) broken.push("no hint");
  if (/^\s+at .*[:(]/m.test(stderr)) broken.push("a stack trace");
  return broken;
}
