import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { standardDevices } from "./standard-paths.ts";

/** A device node of the host. */
export interface HostDevice {
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Places in /dev that every step has as file systems of its own. */
const ownPlaces = new Set(["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/ptmx", "/dev/console"]);

/** What an insecure step sees beside the standard devices: every other node of the host's /dev, two levels deep. */
export function listFurtherDevices(): readonly HostDevice[] {
  const known = new Set<string>(standardDevices.map(({ path }) => path));
  return listDevices("/dev", 2).filter(({ path }) => !known.has(path));
}

function listDevices(directory: string, depth: number): HostDevice[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry): HostDevice[] => {
    const path = join(directory, entry.name);
    if (ownPlaces.has(path)) return [];
    if (entry.isDirectory()) return depth > 1 ? listDevices(path, depth - 1) : [];
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    // Devices come and go.
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const { rdev, mode, uid, gid } = stat;
    const [major, minor] = [majorOf(rdev), minorOf(rdev)];
    const type = entry.isBlockDevice() ? "b" : "c";
    return [{ path, type, major, minor, mode: mode & 0o777, uid, gid }];
  });
}

/** As libc keeps them in 64 bits. */
function majorOf(rdev: number): number {
  return Math.floor(rdev / 2 ** 8) & 0xfff;
}

function minorOf(rdev: number): number {
  return (rdev & 0xff) | ((Math.floor(rdev / 2 ** 12) & 0xfff00) >>> 0);
}
