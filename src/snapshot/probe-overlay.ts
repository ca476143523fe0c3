import {
  constants,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readBootId, syscallErrno, type Syscalls } from "../core/index.ts";
import { canGiveAllLooks } from "./abilities.ts";
import { opaqueXattr } from "./disk.ts";

/** What keeps layers in overlayfs form from being kept in a folder. */
export type OverlayObstacle = "overlayfs" | "capabilities" | "whiteouts" | "xattrs";

/** statfs type of overlayfs, on which no upper directory of another one can lie. */
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/**
 * Why layers in overlayfs form cannot be kept below `tmpDir`; undefined when they can. Mounting itself is not tried.
 * What was found is kept in the file `record` for every process with the same privileges until the next boot: trying
 * takes koffi, which is 2 ms of a command that otherwise would not load it. Synchronous, because every command begins
 * with this, and each way through the thread pool costs more than the calls.
 */
export function probeOverlay(
  kernel: Syscalls,
  { tmpDir, record }: { readonly tmpDir: string; readonly record: string },
): OverlayObstacle | undefined {
  if (statfsSync(tmpDir).type === OVERLAYFS_SUPER_MAGIC) return "overlayfs";
  const circumstances = readCircumstances(tmpDir);
  const known = circumstances === undefined ? undefined : readRecord(record, circumstances);
  if (known !== undefined) return known.obstacle;
  const obstacle = tryMarks(kernel, tmpDir);
  if (circumstances !== undefined) writeRecord(record, { circumstances, obstacle });
  return obstacle;
}

interface Finding {
  readonly circumstances: string;
  readonly obstacle: OverlayObstacle | undefined;
}

/** How lines of /proc/self/status begin. */
const privilegesAt = ["Uid:", "CapEff:", "Seccomp:", "Seccomp_filters:"];

/** All that the outcome depends on; undefined where the kernel does not tell, and nothing is remembered. */
function readCircumstances(folder: string): string | undefined {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const lines = status.split("\n");
    const privileges = lines.filter((line) => privilegesAt.some((name) => line.startsWith(name)));
    const device = String(statSync(folder).dev);
    const namespace = readlinkSync("/proc/self/ns/user");
    return [readBootId(), device, namespace, ...privileges].join(" ").replaceAll("\t", " ");
  } catch {
    return undefined; // no /proc
  }
}

function readRecord(path: string, circumstances: string): Finding | undefined {
  try {
    const [told, obstacle, ...rest] = readFileSync(path, "utf8").split("\n");
    if (told !== circumstances || rest.join("") !== "end") return undefined;
    if (obstacle === "none") return { circumstances, obstacle: undefined };
    return isRecorded(obstacle) ? { circumstances, obstacle } : undefined;
  } catch {
    return undefined; // the first time here
  }
}

function isRecorded(word: string | undefined): word is OverlayObstacle {
  return word === "capabilities" || word === "whiteouts" || word === "xattrs";
}

/** Written in place: a reader of half a record finds it without its end, and looks for itself. */
function writeRecord(path: string, { circumstances, obstacle }: Finding): void {
  try {
    writeFileSync(path, [circumstances, obstacle ?? "none", "end"].join("\n"));
  } catch {
    // A full disk or a read-only one: whoever writes there next says so. This file only saves time.
  }
}

function tryMarks(kernel: Syscalls, folder: string): OverlayObstacle | undefined {
  if (!canGiveAllLooks()) return "capabilities";
  const probe = mkdtempSync(join(folder, "probe-"));
  try {
    const whiteout = { mode: constants.S_IFCHR, major: 0, minor: 0 };
    if (!isAllowed(() => kernel.mknod(join(probe, "whiteout"), whiteout))) return "whiteouts";
    if (!isAllowed(() => kernel.lsetxattr(probe, opaqueXattr, Buffer.from("y")))) return "xattrs";
    return undefined;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

function isAllowed(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    const errno = syscallErrno(error);
    if (errno === "EPERM" || errno === "EACCES" || errno === "EOPNOTSUPP") return false;
    throw error;
  }
}
