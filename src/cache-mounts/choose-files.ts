import { parentRootPath, type RootPath } from "../layer/index.ts";
import { lastUse, type CacheNode } from "./list-tree.ts";

/** What is left behind when a cache travels. */
export interface TravelLimits {
  /** Files that nobody used since, in nanoseconds since the epoch. */
  readonly usedSince?: bigint | undefined;
  /** Bytes of all files together: the ones that were used last are taken. */
  readonly maxSize?: number | undefined;
}

/**
 * Which nodes of some caches travel, cache by cache. The names of one file go together; a directory that only held what
 * stays behind stays too.
 */
export function chooseFiles(
  caches: readonly (readonly CacheNode[])[],
  limits: TravelLimits,
): readonly (readonly CacheNode[])[] {
  const { usedSince, maxSize } = limits;
  if (usedSince === undefined && maxSize === undefined) return caches;
  const files = new Map<string, CacheNode>();
  for (const node of caches.flat()) if (node.stat.isFile()) files.set(identityOf(node), node);
  const kept = new Set<string>();
  let left = BigInt(maxSize ?? Number.MAX_SAFE_INTEGER);
  for (const [identity, { stat }] of [...files].sort(([, a], [, b]) => laterFirst(a, b))) {
    if (usedSince !== undefined && lastUse(stat) < usedSince) break;
    if (stat.size > left) break;
    left -= stat.size;
    kept.add(identity);
  }
  return caches.map((nodes) => keep(nodes, kept));
}

function keep(nodes: readonly CacheNode[], kept: ReadonlySet<string>): readonly CacheNode[] {
  const stays = (node: CacheNode): boolean => node.stat.isFile() && !kept.has(identityOf(node));
  const emptied = new Set<string>();
  const needed = new Set<string>();
  for (const node of nodes) {
    if (stays(node)) addParents(node.path, emptied);
    else if (!node.stat.isDirectory()) addParents(node.path, needed);
  }
  return nodes.filter((node) => {
    if (!node.stat.isDirectory()) return !stays(node);
    const path = node.path.toString("latin1");
    return path === "" || needed.has(path) || !emptied.has(path);
  });
}

function addParents(path: RootPath, to: Set<string>): void {
  for (let at = parentRootPath(path); at !== undefined; at = parentRootPath(at)) {
    const text = at.toString("latin1");
    if (to.has(text)) return;
    to.add(text);
  }
}

function laterFirst(a: CacheNode, b: CacheNode): number {
  const [first, second] = [lastUse(a.stat), lastUse(b.stat)];
  if (first !== second) return first > second ? -1 : 1;
  // Equal times come from archives: any order, but always the same.
  return Buffer.compare(a.path, b.path);
}

function identityOf({ stat }: CacheNode): string {
  return `${String(stat.dev)}:${String(stat.ino)}`;
}
