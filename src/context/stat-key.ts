import type { FileStat } from "../core/index.ts";
import type { ByteString } from "./byte-strings.ts";
import type { StatKey } from "./types.ts";

/** What tells this version of the file at `path` from others. */
export function statKeyOf(path: ByteString, stats: FileStat): StatKey {
  return {
    path,
    size: stats.size,
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    inode: stats.ino,
    device: stats.dev,
  };
}

/** Whether both describe one version of one file, wherever it lies. */
export function isSameVersion(a: StatKey, b: StatKey): boolean {
  return (
    a.ctimeNs === b.ctimeNs &&
    a.mtimeNs === b.mtimeNs &&
    a.size === b.size &&
    a.inode === b.inode &&
    a.device === b.device
  );
}
