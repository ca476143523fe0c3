import { type FileStat, FileVersions, type FileVersion, versionLength } from "../core/index.ts";

/** Those of some files, as another thread takes them. */
export function versionsOf(files: readonly FileVersion[]): BigInt64Array {
  const versions = new FileVersions(files.length);
  for (const [index, file] of files.entries()) versions.set(index, file);
  return versions.numbers;
}

/** Whether `stat` tells of the version that file `index` of `versions` had. */
export function isVersion(stat: FileStat, versions: BigInt64Array, index: number): boolean {
  const at = versionLength * index;
  return (
    BigInt.asIntN(64, stat.size) === versions[at] &&
    BigInt.asIntN(64, stat.mtimeNs) === versions[at + 1] &&
    BigInt.asIntN(64, stat.ctimeNs) === versions[at + 2] &&
    BigInt.asIntN(64, stat.ino) === versions[at + 3] &&
    BigInt.asIntN(64, stat.dev) === versions[at + 4]
  );
}
