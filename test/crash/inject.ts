import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { repository, startCli, type CliResult } from "../support/cli.ts";

/** Failures by system call: what a kernel may really answer there. */
export const doors: Readonly<Record<string, readonly string[]>> = {
  openat: ["ENOSPC", "EACCES", "EMFILE", "ENFILE", "EIO"],
  openat2: ["EMFILE", "EIO"],
  mkdir: ["ENOSPC", "EDQUOT", "EACCES", "EIO"],
  mkdirat: ["ENOSPC", "EIO"],
  mknod: ["ENOSPC", "EIO"],
  mknodat: ["ENOSPC", "EIO"],
  symlink: ["ENOSPC", "EIO"],
  symlinkat: ["ENOSPC", "EIO"],
  link: ["ENOSPC", "EIO"],
  linkat: ["ENOSPC", "EIO"],
  rename: ["ENOSPC", "EDQUOT", "EACCES", "EIO"],
  renameat2: ["ENOSPC", "EIO"],
  write: ["ENOSPC", "EDQUOT", "EFBIG", "EIO"],
  pwrite64: ["ENOSPC", "EDQUOT", "EFBIG", "EIO"],
  writev: ["ENOSPC", "EFBIG", "EIO"],
  pwritev: ["ENOSPC", "EFBIG", "EIO"],
  copy_file_range: ["ENOSPC", "EFBIG", "EIO"],
  sendfile: ["ENOSPC", "EFBIG", "EIO"],
  ftruncate: ["EFBIG", "EIO"],
  fallocate: ["ENOSPC"],
  read: ["EIO"],
  pread64: ["EIO"],
  getdents64: ["EIO"],
  statx: ["EIO", "EACCES"],
  newfstatat: ["EIO"],
  readlink: ["EIO"],
  readlinkat: ["EIO"],
  fsync: ["ENOSPC", "EDQUOT", "EIO"],
  fdatasync: ["ENOSPC", "EIO"],
  syncfs: ["ENOSPC", "EIO"],
  unlink: ["EIO", "EACCES"],
  unlinkat: ["EIO"],
  rmdir: ["EIO", "EACCES"],
  fchmod: ["EIO"],
  fchmodat: ["EIO"],
  chmod: ["EIO"],
  fchownat: ["EIO", "EDQUOT"],
  fchown: ["EIO", "EDQUOT"],
  lchown: ["EIO", "EDQUOT"],
  utimensat: ["EIO"],
  lsetxattr: ["ENOSPC", "EIO"],
  setxattr: ["ENOSPC", "EIO"],
  lgetxattr: ["EIO"],
  llistxattr: ["EIO"],
  statfs: ["EIO"],
  flock: ["EIO"],
  bind: ["ENOSPC", "EACCES"],
  memfd_create: ["EMFILE", "ENFILE"],
  socket: ["EMFILE", "ENFILE"],
};

/** One fault: this answer (or `SIGKILL`) at the nth call of that name in each thread. */
export interface Fault {
  readonly call: string;
  readonly nth: number;
  readonly answer: string;
  /** What the call is about: the same word for places that mean the same. */
  readonly place: string;
}

export interface TracedRun extends CliResult {
  /** Calls that got the false answer, as strace writes them. */
  readonly injected: readonly string[];
  readonly log: string;
  readonly isHanging: boolean;
}

/** So long a command may take under strace, in milliseconds, before it counts as hanging. */
const patience = 150_000;

/**
 * Runs `tsbuild ...args` with strace on it from the moment at which it first reads its store: what comes before is
 * Node's start, where a fault says nothing about tsbuild.
 */
export async function runTraced(
  args: readonly string[],
  options: { readonly root: string; readonly log: string; readonly fault?: Fault },
): Promise<TracedRun> {
  const { root, log, fault } = options;
  const hook = join(repository, "test/crash/stop-at-store.cjs");
  const running = startCli(args, {
    root,
    env: { NODE_OPTIONS: `--require=${hook}`, UV_THREADPOOL_SIZE: "1" },
  });
  const { process: child, done } = running;
  const pid = child.pid ?? 0;
  const isStopped = await untilStopped(pid, done);
  await rm(log, { force: true });
  const tracer = isStopped ? await attach(pid, { log, fault }) : undefined;
  if (isStopped) child.kill("SIGCONT");
  const waiting = new AbortController();
  const outcome = await Promise.race([
    done,
    sleep(patience, undefined, { signal: waiting.signal }).catch(() => undefined),
  ]);
  waiting.abort();
  if (outcome === undefined) child.kill("SIGKILL");
  const result = await done;
  await tracer?.ended;
  const text = existsSync(log) ? readFileSync(log, "latin1") : "";
  const injected = text.split("\n").filter((line) => /\(INJECTED\)|SIGKILL/.test(line));
  return { ...result, injected, log: text, isHanging: outcome === undefined };
}

async function untilStopped(pid: number, done: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  void done.then(() => (isOver = true));
  while (!isOver) {
    if (/^\d+ \(.*\) [Tt] /.test(statOf(pid))) return true;
    await sleep(5);
  }
  return false;
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/stat`, "latin1");
  } catch {
    return "";
  }
}

/** Resolves to the end of strace once it holds every thread. */
async function attach(
  pid: number,
  { log, fault }: { readonly log: string; readonly fault: Fault | undefined },
): Promise<{ readonly ended: Promise<unknown> }> {
  const how = fault?.answer === "SIGKILL" ? "signal=SIGKILL" : `error=${String(fault?.answer)}`;
  const inject =
    fault === undefined ? [] : ["-e", `inject=${fault.call}:${how}:when=${String(fault.nth)}`];
  const calls = fault === undefined ? Object.keys(doors).join(",") : fault.call;
  const strace = spawn(
    "strace",
    ["-f", "-y", "-s", "120", "-o", log, "-e", `trace=${calls}`, ...inject, "-p", String(pid)],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const ended = once(strace, "exit");
  let told = "";
  await new Promise<void>((resolve) => {
    strace.stderr.on("data", (chunk: Buffer) => {
      told += chunk.toString();
      if (told.includes("attached")) resolve();
    });
    void ended.then(() => resolve());
  });
  return { ended };
}

/**
 * Faults that hit what the command does with its own files. `placeOf` tells what those lines of strace are about;
 * undefined: something of Node's.
 */
export function planFaults(
  log: string,
  placeOf: (line: string) => string | undefined,
): readonly Fault[] {
  const seen = new Map<string, { place: string; isForeign: boolean }>();
  const counts = new Map<string, number>();
  for (const line of log.split("\n")) {
    const match = /^(\d+)\s+(\w+)\(/.exec(line);
    const [, thread = "", call = ""] = match ?? [];
    if (match === null || doors[call] === undefined) continue;
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, nth);
    const place = placeOf(line);
    const key = `${call} ${String(nth)}`;
    const before = seen.get(key);
    seen.set(key, {
      place: before?.place || place || "",
      isForeign: before?.isForeign === true || place === undefined,
    });
  }
  return [...seen].flatMap(([key, { place, isForeign }]) => {
    const [call = "", nth = ""] = key.split(" ");
    if (isForeign) return [];
    return [...(doors[call] ?? []), "SIGKILL"].map((answer) => ({
      ...{ call, nth: Number(nth), answer, place },
    }));
  });
}
