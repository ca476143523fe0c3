import { contextError } from "../../context/index.ts";
import {
  resolvePath,
  rootPathToString,
  toRootPath,
  type MergedTree,
  type RootPath,
} from "../../layer/index.ts";
import type { OpRequest } from "../ops/request.ts";
import { treeOf } from "../read-set.ts";
import type { LayersResult } from "../result.ts";

/** The layers that a mount reads from; the planner sees to it that they are layers. */
export async function openInput(
  input: number,
  request: OpRequest,
): Promise<{ readonly layers: LayersResult; readonly tree: MergedTree }> {
  const layers = input === 0 ? request.base : request.others[input - 1];
  if (layers?.type !== "layers") throw new Error(`input ${String(input)} of a RUN has no layers`);
  return { layers, tree: await treeOf(layers, request.environment) };
}

/**
 * Where `source` really lies: symlinks are followed, inside the tree.
 * @throws CONTEXT_SOURCE_NOT_FOUND
 */
export async function findSource(
  tree: MergedTree,
  source: string,
): Promise<{ readonly path: RootPath; readonly isFile: boolean }> {
  const asked = toRootPath(source, { beyondRoot: "stay" });
  const path = await resolvePath(tree, asked, { followLast: true });
  const stat = await tree.lstat(path);
  if (stat !== undefined) return { path, isFile: stat.type !== "directory" };
  throw contextError(
    "CONTEXT_SOURCE_NOT_FOUND",
    `mount "/${rootPathToString(asked)}": it is a link to "/${rootPathToString(path)}": not found`,
    { hint: "check the source of the mount", details: { path: source } },
  );
}
