import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import { errnoOf } from "../core/index.ts";
import { joinRootPath, rootPath, type RootPath } from "../layer/index.ts";

/** Something in a cache directory, as it was when it was looked at. */
export interface CacheNode {
  readonly path: RootPath;
  readonly absolute: Buffer;
  readonly stat: BigIntStats;
}

/**
 * Everything in a directory that can travel: the directory itself first, parents before what is in them, names in byte order. Symlinks
 * are not followed. Left out are sockets and devices, which mean nothing elsewhere, and what others remove meanwhile.
 */
export function listTree(directory: string): readonly CacheNode[] {
  const top = Buffer.from(directory);
  const found: CacheNode[] = [];
  const pending: RootPath[] = [rootPath];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const absolute = path.length === 0 ? top : Buffer.concat([top, slash, path]);
    const stat = unlessGone(() => lstatSync(absolute, { bigint: true }));
    if (stat === undefined || !canTravel(stat)) continue;
    found.push({ path, absolute, stat });
    if (!stat.isDirectory()) continue;
    const names = unlessGone(() => readdirSync(absolute, { encoding: "latin1" })) ?? [];
    // Latin-1 strings sort as their bytes do; the first is taken from the end.
    for (const name of names.sort().reverse()) {
      pending.push(joinRootPath(path, Buffer.from(name, "latin1")));
    }
  }
  return found;
}

const slash = Buffer.from("/");

function canTravel(stat: BigIntStats): boolean {
  return stat.isFile() || stat.isDirectory() || stat.isSymbolicLink() || stat.isFIFO();
}

/** undefined where somebody has removed or replaced it. */
export function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

const nanosecondsOfDay = 86_400_000_000_000n;

/** Days since the epoch. */
export function dayOf(time: bigint): number {
  return Number(time / nanosecondsOfDay);
}

/**
 * When a file was used last, as far as the filesystem tells, in nanoseconds since the epoch: filesystems note a reading
 * once a day, and some (`noatime`) not at all.
 */
export function lastUse({ atimeNs, mtimeNs }: Pick<BigIntStats, "atimeNs" | "mtimeNs">): bigint {
  return atimeNs > mtimeNs ? atimeNs : mtimeNs;
}
