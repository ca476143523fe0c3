import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execute } from "../measure/run-command.ts";

/** Names the folder of a run that is in namespaces of its own. */
const variable = "TSBUILD_BENCH_PLACE";
/** The file is sparse: what is not used costs nothing. */
const diskBytes = 80 * 2 ** 30;
const inodes = 6_000_000;

/** The folder that `runInPrivatePlace` made, when this process is the one that it started. */
export function privatePlace(): string | undefined {
  return process.env[variable];
}

/** Whether this user may make namespaces and mounts; `why` says what is lacking. */
export function privatePlaceWanted(): { readonly isPossible: boolean; readonly why: string } {
  if (process.geteuid?.() !== 0) return { isPossible: false, why: "this is not root" };
  if (!existsSync("/dev/loop-control")) return { isPossible: false, why: "no loop devices" };
  const probe = spawnSync("unshare", [...namespaces, "sh", "-c", "command -v mkfs.ext4"]);
  if (probe.status === 0) return { isPossible: true, why: "" };
  return { isPossible: false, why: "unshare or mkfs.ext4 is missing or refused" };
}

/**
 * Runs this script once more, with mounts and processes of its own: when it ends, and be it by SIGKILL, the kernel ends
 * all that it started (daemons, containers, the registry) and takes its disk away.
 *
 * @returns its exit code
 */
export async function runInPrivatePlace(signal: AbortSignal): Promise<number> {
  const place = await mkdtemp(join(tmpdir(), "tsbuild-bench-"));
  try {
    const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const child = spawn("unshare", [...namespaces, ...again], {
      env: { ...process.env, [variable]: place },
      stdio: ["inherit", "inherit", "inherit", "ipc"],
    });
    // unshare itself heeds no signals while it waits; the script inside hears of it by the channel.
    const stop = (): void => child.disconnect();
    signal.addEventListener("abort", stop, { once: true });
    const [code] = (await once(child, "close")) as [number | null];
    signal.removeEventListener("abort", stop);
    return code ?? 1;
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/** Calls back when the process outside wants an end, or is gone. */
export function onOutsideEnd(tell: () => void): void {
  process.once("disconnect", tell);
  process.channel?.unref();
}

/**
 * Mounts a new ext4 with a journal in the place and returns where: all stores and inputs lie on it, so that nobody has
 * a better file system than the others, and none is full of what was deleted before.
 */
export async function mountDisk(place: string): Promise<string> {
  const file = join(place, "disk.ext4");
  const directory = join(place, "disk");
  await writeFile(file, "");
  await truncate(file, diskBytes);
  // Tables of inodes that the kernel makes afterwards would be made while something is measured.
  const options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
  await execute(["mkfs.ext4", "-q", "-F", "-N", String(inodes), "-E", options, file]);
  await mkdir(directory);
  await execute(["mount", "-o", "loop,noinit_itable,noatime", file, directory]);
  // The mount holds it: it goes with the last process.
  await unlink(file);
  return directory;
}

/** Gives blocks of deleted files back to the disk below. */
export async function trimDisk(directory: string): Promise<void> {
  await execute(["fstrim", directory]);
}
