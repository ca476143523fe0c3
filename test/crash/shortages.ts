import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { environmentOf, runCli, startCli, tsbuildBin, type CliResult } from "../support/cli.ts";
import { badTelling, brokenInvariants, strayOutputs } from "./invariants.ts";
import { fingerprint, type Bench, type Scenario } from "./scenarios.ts";

const exec = promisify(execFile);

/** What runs out while a command is at work. */
export type Shortage =
  /** So many bytes are left on the disk. */
  | { readonly kind: "space"; readonly bytes: number }
  /** So many files can still be made there. */
  | { readonly kind: "files"; readonly count: number }
  /** No file may be larger (`ulimit -f`). */
  | { readonly kind: "file size"; readonly bytes: number }
  /** After so many milliseconds nothing can be written to the disk any more. */
  | { readonly kind: "writing"; readonly after: number };

export interface ShortageOutcome {
  readonly outcome: "failed" | "succeeded";
  /** The code that was told. */
  readonly code: string | undefined;
  readonly defects: readonly string[];
  readonly stderr: string;
}

/** From "hardly anything works" to "nearly enough". */
export const shortages: readonly Shortage[] = [
  ...[0, 4, 16, 64, 200, 300, 1000, 2000, 3000, 4000].map(
    (kilobytes) => ({ kind: "space", bytes: 1024 * kilobytes }) as const,
  ),
  ...[0, 2, 5, 10, 20, 40, 60, 80].map((count) => ({ kind: "files", count }) as const),
  ...[0, 1, 4, 32, 256, 1000, 2500].map(
    (kilobytes) => ({ kind: "file size", bytes: 1024 * kilobytes }) as const,
  ),
  ...[20, 60, 100, 140, 180, 220, 260, 300, 400, 500].map(
    (after) => ({ kind: "writing", after }) as const,
  ),
];

/** Whether the scenario writes to the disk more than a few small files, so that something can run short. */
export const canRunShort = ({ name }: Scenario): boolean =>
  !["tag", "rmi", "prune", "container"].includes(name);

/** How it is told what is short. A RUN that finds no space tells of it in its own words. */
const honest: Readonly<Record<Shortage["kind"], RegExp>> = {
  space: /\[(DISK_FULL|BUILD_RUN_FAILED)\]$/m,
  files: /\[(DISK_FULL|BUILD_RUN_FAILED)\]$/m,
  "file size": /^hint: .*ulimit -f|\[BUILD_RUN_FAILED\]$/m,
  writing: /\[STORE_UNAVAILABLE\]$|^hint: .*read-only|\[BUILD_RUN_FAILED\]$/m,
};

/**
 * Runs the command on a small disk of its own with this shortage, looks at the store, and runs it again without.
 * `expected`: what it leaves when nothing is short.
 */
export async function tryShortage(
  bench: Bench,
  request: {
    readonly scenario: Scenario;
    readonly shortage: Shortage;
    readonly expected: string;
  },
): Promise<ShortageOutcome> {
  const { scenario, shortage, expected } = request;
  const disk = join(bench.folder, "disk");
  await mkdir(disk, { recursive: true });
  await exec("mount", ["-t", "tmpfs", "-o", "size=100m,nr_inodes=20000", "tmpfs", disk]);
  try {
    const [root, out] = [join(disk, "root"), join(disk, "out")];
    await mkdir(out);
    // A size of 0 would be none at all.
    await writeFile(join(disk, "something"), "x");
    if (scenario.isPrepared) await exec("cp", ["-a", bench.prepared, root]);
    const args = scenario.args({ bench, out });
    const run = await runShort(args, { root, disk, shortage });
    await exec("mount", ["-o", "remount,rw,size=100m,nr_inodes=20000", disk]);
    const outcome = run.code === 0 ? "succeeded" : "failed";
    const code = /^tsbuild: .*\[([A-Z_]+)\]$/m.exec(run.stderr)?.[1];
    const defects: string[] = [];
    if (outcome === "failed") {
      // What a RUN tells of it stands above, in its own words.
      if (code !== "BUILD_RUN_FAILED") defects.push(...badTelling(run.stderr));
      if (!honest[shortage.kind].test(run.stderr)) defects.push(`told as ${String(code)}`);
    } else if ((await fingerprint(root, out)) !== expected) {
      defects.push("says success of what is not complete");
    }
    if (await isThere(root)) defects.push(...(await brokenInvariants(root)));
    if (outcome === "failed") {
      const again = await runCli(args, { root });
      if (again.code !== 0) defects.push(`the next run fails: ${again.stderr}`);
      else if ((await fingerprint(root, out)) !== expected) defects.push("the next run differs");
      for (const stray of await strayOutputs(out)) defects.push(`${stray} is left`);
      defects.push(...(await brokenInvariants(root)));
    }
    return { outcome, code, defects, stderr: run.stderr };
  } finally {
    await exec("umount", ["-l", disk]);
  }
}

/** A root that could not even be made holds nothing to be looked at. */
async function isThere(root: string): Promise<boolean> {
  const names = await readdir(root).catch((): string[] => []);
  return names.includes("tmp");
}

async function runShort(
  args: readonly string[],
  place: { readonly root: string; readonly disk: string; readonly shortage: Shortage },
): Promise<CliResult> {
  const { root, disk, shortage } = place;
  switch (shortage.kind) {
    case "space":
    case "files":
      await exec("mount", ["-o", `remount,${await sizeOf(disk, shortage)}`, disk]);
      return runCli(args, { root });
    case "file size":
      return runLimited(args, { root, bytes: shortage.bytes });
    case "writing": {
      const running = startCli(args, { root });
      await Promise.race([running.done, sleep(shortage.after)]);
      await stopWriting(disk, running.done);
      return running.done;
    }
  }
}

/** What a tmpfs has to be told so that so much is left. */
async function sizeOf(
  disk: string,
  shortage: Extract<Shortage, { readonly kind: "space" | "files" }>,
): Promise<string> {
  const { blocks, bfree, bsize, files, ffree } = await statfs(disk);
  return shortage.kind === "space"
    ? `size=${String((blocks - bfree) * bsize + shortage.bytes)}`
    : `nr_inodes=${String(files - ffree + shortage.count)}`;
}

/** The kernel lets it be done at a moment at which no file is open to be written. */
async function stopWriting(disk: string, ended: Promise<unknown>): Promise<void> {
  let isOver = false;
  void ended.then(() => (isOver = true));
  for (;;) {
    const isDone = await exec("mount", ["-o", "remount,ro", disk]).then(
      () => true,
      () => false,
    );
    if (isDone || isOver) return;
    await sleep(1);
  }
}

/** The command under `ulimit -f`, which counts in blocks of 512 bytes. */
async function runLimited(
  args: readonly string[],
  { root, bytes }: { readonly root: string; readonly bytes: number },
): Promise<CliResult> {
  const script = `ulimit -f ${String(bytes / 512)}; exec "$@"`;
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
