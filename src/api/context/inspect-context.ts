import { relative } from "node:path";
import type { BuildOptions } from "../build/options.ts";
import { findSuspicious } from "./find-suspicious.ts";
import { seeContext, type SeenContext } from "./see-context.ts";
import { gatherTops, largestFirst, sizeFolders } from "./size-folders.ts";
import type { SurveyedNode } from "./survey.ts";
import type { ContextFinding, ContextReport, UnusedFiles } from "./types.ts";

/**
 * Tells what a build could read of its context and what it does read, without building.
 * @throws DOCKERFILE_NOT_FOUND, CONTEXT_*, CANCELED; what is wrong inside the Dockerfile is a part of the report
 */
export async function inspectContext(options: BuildOptions): Promise<ContextReport> {
  return seeContext(options, async (seen) => {
    const { nodes, ignored } = seen.survey;
    const files = nodes.filter(({ type }) => type !== "directory");
    const folders = [...sizeFolders(nodes).values()];
    const used = new Set(seen.uses.flatMap((each) => [...each.nodes]));
    return {
      context: options.context,
      files: files.length,
      folders: folders.length,
      bytes: totalOf(files),
      rules: { count: seen.rules.lines.length, file: seen.rules.lines[0]?.file },
      ignored,
      largestFiles: files.map(({ name, size }) => ({ path: name, size })).sort(largestFirst),
      largestFolders: folders.sort(largestFirst),
      uses: seen.uses.map(({ use }) => use),
      problem: seen.problem,
      unused: seen.problem === undefined ? findUnused(seen, used) : undefined,
      findings: await findFindings(seen, used),
    };
  });
}

function findUnused(seen: SeenContext, used: ReadonlySet<SurveyedNode>): UnusedFiles {
  const { nodes } = seen.survey;
  const own = ownFiles(seen);
  const left = nodes.filter(
    (node) => node.type !== "directory" && !used.has(node) && !own.has(node.name),
  );
  return { files: left.length, bytes: totalOf(left), largest: gatherTops(nodes, new Set(left)) };
}

/** What the builder itself reads. */
function ownFiles({ directory, dockerfile, rules }: SeenContext): ReadonlySet<string> {
  const file = rules.lines[0]?.file;
  const isInside = directory !== undefined && dockerfile !== undefined;
  return new Set([
    ...(isInside ? [relative(directory, dockerfile)] : []),
    ...(file === undefined ? [] : [file]),
  ]);
}

async function findFindings(
  { tree, survey: { nodes }, problem }: SeenContext,
  used: ReadonlySet<SurveyedNode>,
): Promise<readonly ContextFinding[]> {
  const found = await findSuspicious(tree, nodes);
  return found.map(({ node, ...finding }) => {
    const inside = nodes.filter(
      ({ name }) => name === node.name || name.startsWith(`${node.name}/`),
    );
    const isUsed = problem === undefined ? inside.some((each) => used.has(each)) : undefined;
    return { ...finding, size: totalOf(inside), isUsed };
  });
}

/** Bytes of the files; what is no file has none. */
function totalOf(nodes: readonly SurveyedNode[]): number {
  return nodes.reduce((sum, { type, size }) => sum + (type === "file" ? size : 0), 0);
}
