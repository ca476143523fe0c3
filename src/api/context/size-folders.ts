import type { SurveyedNode } from "./survey.ts";
import type { SizedFolder } from "./types.ts";

/** Each folder with the files and bytes of everything below it, in the order of `nodes`. */
export function sizeFolders(nodes: readonly SurveyedNode[]): ReadonlyMap<string, SizedFolder> {
  const sizes = new Map<string, { path: string; files: number; size: number }>();
  for (const { name, type, size } of nodes) {
    if (type === "directory") {
      sizes.set(name, { path: name, files: 0, size: 0 });
      continue;
    }
    for (const folder of foldersAbove(name)) {
      const known = sizes.get(folder);
      if (known === undefined) continue;
      known.files += 1;
      known.size += size;
    }
  }
  return sizes;
}

/**
 * Of all that is `left`, the topmost folders of which nothing else is there, and the files beside them: what somebody
 * would write into an ignore file. Largest first.
 */
export function gatherTops(
  nodes: readonly SurveyedNode[],
  left: ReadonlySet<SurveyedNode>,
): readonly SizedFolder[] {
  const all = sizeFolders(nodes);
  const ours = sizeFolders(nodes.filter((node) => node.type === "directory" || left.has(node)));
  const isWhole = (folder: string): boolean =>
    (all.get(folder)?.files ?? 0) > 0 && all.get(folder)?.files === ours.get(folder)?.files;
  const tops = new Map<string, SizedFolder>();
  for (const { name, size } of left) {
    const top = foldersAbove(name).find(isWhole);
    const folder = top === undefined ? undefined : all.get(top);
    tops.set(top ?? name, folder ?? { path: name, files: 1, size });
  }
  return [...tops.values()].sort(largestFirst);
}

/** By size, then by name. */
export function largestFirst(
  a: { readonly path: string; readonly size: number },
  b: { readonly path: string; readonly size: number },
): number {
  return b.size - a.size || (a.path < b.path ? -1 : 1);
}

/** Topmost first. */
function foldersAbove(name: string): readonly string[] {
  const folders: string[] = [];
  for (let end = name.indexOf("/"); end !== -1; end = name.indexOf("/", end + 1)) {
    folders.push(name.slice(0, end));
  }
  return folders;
}
