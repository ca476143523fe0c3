import { closeSync, constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { errnoOf, loadSyscalls, syscallErrno, type Syscalls } from "../../core/index.ts";
import { buildError } from "../errors.ts";

/**
 * Makes the directories of the relative path `beneath` in `directory`, which strangers may be changing: no symlink leads
 * out of it, at no moment. What exists stays.
 * @throws BUILD_MOUNT_INVALID when the path leads out, or to something else than a directory
 */
export async function makeBeneath(directory: string, beneath: string): Promise<void> {
  const kernel = await loadSyscalls();
  const root = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const names = beneath.split("/");
    for (const [index, name] of names.entries()) {
      const parent = openBeneath(kernel, root.fd, names.slice(0, index).join("/") || ".");
      try {
        await makeDirectory(`/proc/self/fd/${String(parent)}/${name}`);
      } finally {
        closeSync(parent);
      }
    }
    closeSync(openBeneath(kernel, root.fd, beneath));
  } finally {
    await root.close();
  }
}

function openBeneath(kernel: Syscalls, root: number, path: string): number {
  try {
    return kernel.openat2(root, path, {
      flags: constants.O_RDONLY | constants.O_DIRECTORY,
      resolve: { beneath: true, noMagicLinks: true },
    });
  } catch (error) {
    const errno = syscallErrno(error);
    const reason = errno === "EXDEV" ? "it leads out of the cache through a symlink" : errno;
    throw buildError("BUILD_MOUNT_INVALID", `mount source ${path} of a cache: ${reason ?? "?"}`, {
      hint: "choose another source, or empty the cache with `tsbuild builder prune`",
      details: { source: path, ...(errno === undefined ? {} : { errno }) },
      cause: error,
    });
  }
}

/** Names the last component itself, also when that is a link. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, 0o755);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}
