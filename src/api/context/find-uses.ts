import { parseExcludes, selectSources } from "../../context/index.ts";
import { isTsbuildError } from "../../core/index.ts";
import { resolvePath, type MergedTree, type RootPath } from "../../layer/index.ts";
import type { CopyOp, CopySource, Plan, Vertex } from "../../plan/index.ts";
import type { SurveyedNode } from "./survey.ts";
import type { ContextUse } from "./types.ts";

/** A use with the nodes that it reads. */
export interface FoundUse {
  readonly use: ContextUse;
  readonly nodes: ReadonlySet<SurveyedNode>;
}

/** What each COPY, ADD and mount of a plan reads of the main context, in the order of the Dockerfile. */
export async function findUses(
  plan: Plan,
  { tree, nodes }: { readonly tree: MergedTree; readonly nodes: readonly SurveyedNode[] },
): Promise<readonly FoundUse[]> {
  const found = new Map<string, FoundUse>();
  for (const vertex of plan.vertices) {
    const { op } = vertex;
    if (op.type !== "copy") continue;
    for (const source of op.sources) {
      if (source.type !== "path" || !isMainContext(plan, vertex, source)) continue;
      // Stages that are planned for several platforms copy the same.
      const key = [vertex.location?.line, vertex.name, source.pattern].join("\0");
      if (!found.has(key)) found.set(key, await findUse({ vertex, op, source }, { tree, nodes }));
    }
  }
  const line = ({ use }: FoundUse): number => use.location?.line ?? 0;
  return [...found.values()].sort((a, b) => line(a) - line(b));
}

type PathSource = Extract<CopySource, { readonly type: "path" }>;

function isMainContext({ vertices }: Plan, vertex: Vertex, { input }: PathSource): boolean {
  const op = vertices[vertex.inputs[input] ?? -1]?.op;
  return op?.type === "context" && op.name === "context";
}

async function findUse(
  {
    vertex,
    op,
    source,
  }: { readonly vertex: Vertex; readonly op: CopyOp; readonly source: PathSource },
  { tree, nodes }: { readonly tree: MergedTree; readonly nodes: readonly SurveyedNode[] },
): Promise<FoundUse> {
  const { pattern } = source;
  const step = { step: vertex.name, location: vertex.location, pattern };
  try {
    const roots = await selectRoots(tree, { pattern, parents: op.parents });
    // With `--parents` they are relative to the pivot: rather too many files than too few.
    const excludes = parseExcludes(op.parents ? [] : op.exclude);
    const read = new Set(
      nodes.filter(({ path }) => {
        const below = pathBelow(roots, path);
        return below !== undefined && !excludes.isExcluded(below);
      }),
    );
    const files = [...read].filter(({ type }) => type !== "directory");
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    return { use: { ...step, files: files.length, bytes, problem: undefined }, nodes: read };
  } catch (error) {
    if (!isTsbuildError(error) || !error.code.startsWith("CONTEXT_")) throw error;
    const problem = error.message.split("\n", 1)[0] ?? error.code;
    return { use: { ...step, files: 0, bytes: 0, problem }, nodes: new Set() };
  }
}

/** What the source names, and where that leads: a symlink is copied as what is behind it. One character a byte. */
async function selectRoots(
  tree: MergedTree,
  { pattern, parents }: { readonly pattern: string; readonly parents: boolean },
): Promise<ReadonlySet<string>> {
  const roots = new Set<string>();
  for (const path of await selectSources(tree, pattern, { parents })) {
    roots.add(path.toString("latin1"));
    if (parents) continue;
    roots.add((await resolvePath(tree, path, { followLast: true })).toString("latin1"));
  }
  return roots;
}

/** `path` as seen from the root that holds it; undefined when none does. */
function pathBelow(roots: ReadonlySet<string>, path: RootPath): Buffer | undefined {
  const whole = path.toString("latin1");
  if (roots.has("")) return path;
  for (let end = whole.length; end > 0; end = whole.lastIndexOf("/", end - 1)) {
    if (roots.has(whole.slice(0, end))) return path.subarray(Math.min(end + 1, path.length));
  }
  return undefined;
}
