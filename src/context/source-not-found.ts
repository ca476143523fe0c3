import {
  baseName,
  parentRootPath,
  rootPath,
  rootPathToString,
  type MergedTree,
  type RootPath,
} from "../layer/index.ts";
import { contextError } from "./errors.ts";
import type { BuildContext, IgnoreRule } from "./types.ts";

/** CONTEXT_SOURCE_NOT_FOUND with the most likely reason as its hint. */
export async function sourceNotFound(
  tree: MergedTree,
  source: {
    /** As the instruction says. */
    readonly pattern: string;
    /** Its part without wildcards, cleaned. */
    readonly named: RootPath;
    /** Where that leads behind symlinks. */
    readonly resolved: RootPath;
  },
): Promise<Error> {
  const { pattern, named, resolved } = source;
  const rule = isContext(tree) ? (tree.ignoredBy(named) ?? tree.ignoredBy(resolved)) : undefined;
  const path = `/${rootPathToString(named)}`;
  return contextError(
    "CONTEXT_SOURCE_NOT_FOUND",
    `failed to calculate checksum of ref ${placeOf(tree)}: "${path}": not found`,
    {
      hint: (await hintFor(tree, { pattern, resolved, rule })) ?? placeHint(tree),
      details: {
        pattern,
        // Where it is looked up in the Dockerfile, unless an expansion made it.
        word: pattern,
        path,
        ignoredBy:
          rule === undefined
            ? undefined
            : { file: rule.file, line: rule.line, pattern: rule.pattern },
      },
    },
  );
}

async function hintFor(
  tree: MergedTree,
  source: {
    readonly pattern: string;
    readonly resolved: RootPath;
    readonly rule: IgnoreRule | undefined;
  },
): Promise<string | undefined> {
  const { pattern, resolved, rule } = source;
  if (rule !== undefined)
    return `it is excluded by ${rule.file} line ${String(rule.line)}: ${rule.pattern}`;
  if (leavesRoot(pattern))
    return "it lies outside of the build context, where COPY cannot reach; build with a directory further up as context";
  const near = await nearName(tree, resolved);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

/** Where the reference builder has an identifier of its own. */
function placeOf(tree: MergedTree): string {
  return isContext(tree) ? "context" : "stage";
}

function placeHint(tree: MergedTree): string {
  return isContext(tree)
    ? `sources are looked up in the build context, ${tree.label}`
    : "sources of COPY --from are looked up from the root of that stage or image";
}

/** Whether `..` leads above the root; the lookup then stays at the root, which nobody means. */
function leavesRoot(pattern: string): boolean {
  let depth = 0;
  return pattern.split("/").some((component) => {
    if (component === "..") depth--;
    else if (component !== "" && component !== ".") depth++;
    return depth < 0;
  });
}

/** A name like the missing one, beside the first component that is missing. */
async function nearName(tree: MergedTree, missing: RootPath): Promise<string | undefined> {
  let path = missing;
  let parent = parentRootPath(path);
  while (parent !== undefined && (await tree.lstat(parent)) === undefined) {
    path = parent;
    parent = parentRootPath(path);
  }
  const directory = parent ?? rootPath;
  if ((await tree.lstat(directory))?.type !== "directory") return undefined;
  const names = (await tree.readdir(directory)).map(rootPathToString);
  // Loaded here because only failures need it.
  const { suggest } = await import("../dockerfile/index.ts");
  const name = suggest(rootPathToString(baseName(path)), names);
  if (name === undefined) return undefined;
  return directory.length === 0 ? name : `${rootPathToString(directory)}/${name}`;
}

function isContext(tree: MergedTree): tree is BuildContext {
  return "ignoredBy" in tree;
}
