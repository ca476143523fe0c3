import { randomUUID } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { syscallErrno, type Syscalls } from "../../core/index.ts";
import { sandboxError } from "../errors.ts";

/**
 * Makes a /dev/null in `folder` and opens it: without mounts, that is the only way for a step to have one.
 * @throws SANDBOX_UNSUPPORTED
 */
export async function checkDevicePlace(kernel: Syscalls, folder: string): Promise<void> {
  const path = join(folder, `null-${randomUUID()}`);
  const attempt = (what: string, hint: () => string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      const errno = syscallErrno(error);
      if (errno !== "EPERM" && errno !== "EACCES" && errno !== "ENXIO") throw error;
      throw sandboxError("SANDBOX_UNSUPPORTED", `${what} a device node in ${folder}: ${errno}`, {
        hint: hint(),
        details: { operation: what, errno },
        cause: error,
      });
    }
  };
  attempt("make", hintToMake, () => {
    kernel.mknod(path, { mode: constants.S_IFCHR | 0o600, major: 1, minor: 3 });
  });
  try {
    attempt("open", hintToOpen, () => {
      closeSync(openSync(path, constants.O_RDWR));
    });
  } finally {
    unlinkSync(path);
  }
}

const hintToMake = (): string => "give this container CAP_MKNOD: steps need a /dev/null";

/** Which other place there is; in containers of our own there is none. */
function hintToOpen(): string {
  const [place] = placesForDevices();
  if (place !== undefined)
    return `keep the state on a filesystem that is not mounted nodev, such as ${place}: --root`;
  return "no filesystem here allows devices, as in containers of `tsbuild run` and in RUN: build outside of it, or in a container of docker or podman, or in RUN --security=insecure";
}

/** Directories to write to that are mounted without `nodev`. */
function placesForDevices(): readonly string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, , , , point = "", options = ""] = line.split(" ");
    if (/^\/(dev|proc|sys)(\/|$)/.test(point) || options.split(",").includes("nodev")) return [];
    const path = point.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(parseInt(digits, 8)),
    );
    return isWritableDirectory(path) ? [path] : [];
  });
}

function isWritableDirectory(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return statSync(path).isDirectory();
  } catch {
    // Read-only, hidden by another mount, or of a name that is no text.
    return false;
  }
}
