import { randomUUID } from "node:crypto";
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { syscallErrno, type Syscalls } from "../../core/index.ts";
import { sandboxError } from "../errors.ts";

/**
 * Makes a /dev/null in `folder` and opens it: without mounts, that is the only way for a step to have one.
 * @throws SANDBOX_UNSUPPORTED
 */
export async function checkDevicePlace(kernel: Syscalls, folder: string): Promise<void> {
  const path = join(folder, `null-${randomUUID()}`);
  const attempt = (what: string, hint: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      const errno = syscallErrno(error);
      if (errno !== "EPERM" && errno !== "EACCES" && errno !== "ENXIO") throw error;
      throw sandboxError("SANDBOX_UNSUPPORTED", `${what} a device node in ${folder}: ${errno}`, {
        hint,
        details: { operation: what, errno },
        cause: error,
      });
    }
  };
  attempt("make", "give this container CAP_MKNOD: steps need a /dev/null", () => {
    kernel.mknod(path, { mode: constants.S_IFCHR | 0o600, major: 1, minor: 3 });
  });
  try {
    attempt("open", "keep the state on a filesystem that is not mounted nodev", () => {
      closeSync(openSync(path, constants.O_RDWR));
    });
  } finally {
    unlinkSync(path);
  }
}
