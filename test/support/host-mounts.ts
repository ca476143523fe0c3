import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";

/**
 * The mounts of this process' namespace (lines of /proc/self/mountinfo) as far as they can come from the test that owns
 * `folder`. Left out is what other work on the machine may mount at any time: below other temporary folders and below
 * the stores of container engines.
 */
export function readHostMounts(folder: string): readonly string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n");
  return lines.filter((line) => {
    const [, , , , mountPoint = ""] = line.split(" ");
    if (line.includes(folder)) return true;
    return ![`${tmpdir()}/`, "/var/lib/", "/run/"].some((place) => mountPoint.startsWith(place));
  });
}
