import type { BuildContext } from "../../context/index.ts";
import {
  joinRootPath,
  rootPath,
  rootPathToString,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../../layer/index.ts";
import type { IgnoredPath } from "./types.ts";

export interface SurveyedNode {
  readonly path: RootPath;
  /** The path as people read it. */
  readonly name: string;
  readonly type: NodeStat["type"];
  /** Bytes of a file, else 0. */
  readonly size: number;
}

export interface Survey {
  /** Everything that COPY could read but the root, each directory before its content. */
  readonly nodes: readonly SurveyedNode[];
  readonly ignored: readonly IgnoredPath[];
}

/**
 * Looks at every name of a context once. No file is opened.
 * @throws CONTEXT_UNREADABLE, CONTEXT_FILE_CHANGED
 */
export async function surveyTree(
  tree: MergedTree | BuildContext,
  signal?: AbortSignal,
): Promise<Survey> {
  const nodes: SurveyedNode[] = [];
  const ignored: IgnoredPath[] = [];
  const pending = [rootPath];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    signal?.throwIfAborted();
    if ("hidden" in tree) ignored.push(...ignoredIn(tree, directory));
    const folders: RootPath[] = [];
    for (const name of await tree.readdir(directory)) {
      const path = joinRootPath(directory, name);
      const stat = await tree.lstat(path);
      // It went since it was listed.
      if (stat === undefined) continue;
      nodes.push({ path, name: rootPathToString(path), type: stat.type, size: stat.size });
      if (stat.type === "directory") folders.push(path);
    }
    pending.push(...folders.reverse());
  }
  return { nodes, ignored };
}

function ignoredIn(context: BuildContext, directory: RootPath): IgnoredPath[] {
  return context.hidden(directory).flatMap((name) => {
    const path = joinRootPath(directory, name);
    const rule = context.ignoredBy(path);
    if (rule === undefined) return [];
    const { file, line, pattern } = rule;
    return [{ path: rootPathToString(path), rule: { file, line, pattern } }];
  });
}
