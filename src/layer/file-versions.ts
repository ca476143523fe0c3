import type { FileStat } from "../core/index.ts";
import type { StatKey } from "./types.ts";

const versionLength = 4;

/** mtime, ctime, inode and device of each file, as another thread takes them. Times before 1970 become large numbers. */
export function versionsOf(files: readonly StatKey[]): BigUint64Array {
  const versions = new BigUint64Array(files.length * versionLength);
  let next = 0;
  // One by one: a list for each file takes three times as long.
  for (const { mtimeNs, ctimeNs, inode, device } of files) {
    versions[next++] = mtimeNs;
    versions[next++] = ctimeNs;
    versions[next++] = inode;
    versions[next++] = device;
  }
  return versions;
}

/** Whether `stat` tells of the version that file `index` of `versions` had; its size says something of its own. */
export function isVersion(stat: FileStat, versions: BigUint64Array, index: number): boolean {
  const at = index * versionLength;
  return (
    BigInt.asUintN(64, stat.mtimeNs) === versions[at] &&
    BigInt.asUintN(64, stat.ctimeNs) === versions[at + 1] &&
    stat.ino === versions[at + 2] &&
    stat.dev === versions[at + 3]
  );
}
