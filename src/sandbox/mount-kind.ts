import { statSync } from "node:fs";
import type { SandboxMount } from "./types.ts";

/**
 * Whether what is to be mounted is a file, and so needs a file to be mounted on. Looks at the host's file system for a
 * plain bind mount.
 */
export function isFileMount(mount: SandboxMount): boolean {
  switch (mount.type) {
    case "tmpfs":
      return false;
    case "secret":
      return true;
    case "tree":
      return mount.isFile;
    case "bind":
      return mount.beneath === undefined && !statSync(mount.source).isDirectory();
  }
}
