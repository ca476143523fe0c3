import {
  baseName,
  components,
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPath,
  toRootPath,
  type MergedTree,
  type RootPath,
} from "../layer/index.ts";
import { byteString, textOf } from "./byte-strings.ts";
import { hasWildcard, parseGlob } from "./glob-tokens.ts";
import { openParentsSelector, openSelector, type Selector } from "./selector.ts";
import { sourceNotFound } from "./source-not-found.ts";

export interface SelectOptions {
  /** `COPY --parents`: wildcards mean what they mean in ignore files, `**` any number of directories. */
  readonly parents?: boolean;
}

/**
 * The nodes that one source of COPY or ADD names, in lexical order. Each path is behind the symlinks on its way, but
 * keeps its own last name, also when that is a symlink: the copy bears this name and holds what it leads to.
 *
 * The pattern begins at the tree's root whatever it looks like. Wildcards match within one component; a matched
 * directory is not searched for further matches. A wildcard that matches nothing selects nothing.
 *
 * @throws CONTEXT_SOURCE_NOT_FOUND when something is named without wildcards that is not there
 * @throws CONTEXT_PATTERN_INVALID
 */
export async function selectSources(
  tree: MergedTree,
  pattern: string,
  options: SelectOptions = {},
): Promise<RootPath[]> {
  // Checks the whole pattern's syntax, whatever it is compared with later.
  parseGlob(pattern, { globstar: false });
  const parts = components(toRootPath(pattern, { beyondRoot: "stay" })).map(String);
  const firstWild = parts.findIndex(hasWildcard);
  const plain = firstWild === -1 ? parts : parts.slice(0, firstWild);
  const named = toRootPath(plain.map(unescape).join("/"), { beyondRoot: "stay" });
  const found = await resolvePath(tree, named, { followLast: true });
  const isMissing = (await tree.lstat(found)) === undefined;
  // With `--parents` everything before the wildcard is a part of the pattern too.
  if (isMissing && firstWild !== -1 && options.parents === true) return [];
  if (isMissing) throw await sourceNotFound(tree, { pattern, named, resolved: found });
  if (firstWild === -1) return [await keepLastName(tree, named)];
  const wild = parts.slice(firstWild).join("/");
  const selector = options.parents === true ? openParentsSelector(wild) : await openSelector(wild);
  const selected: RootPath[] = [];
  await search({ tree, selector, selected }, { directory: found, relative: "" });
  return selected;
}

async function keepLastName(tree: MergedTree, path: RootPath): Promise<RootPath> {
  const parent = parentRootPath(path);
  if (parent === undefined) return rootPath;
  return joinRootPath(await resolvePath(tree, parent, { followLast: true }), baseName(path));
}

interface Search {
  readonly tree: MergedTree;
  readonly selector: Selector;
  readonly selected: RootPath[];
}

async function search(
  work: Search,
  place: { readonly directory: RootPath; readonly relative: string },
): Promise<void> {
  const { tree, selector, selected } = work;
  if ((await tree.lstat(place.directory))?.type !== "directory") return;
  for (const name of await tree.readdir(place.directory)) {
    const path = joinRootPath(place.directory, name);
    const relative = `${place.relative}${textOf(byteString(name))}`;
    if (selector.selects(relative)) selected.push(path);
    else if (selector.mayContain(relative))
      await search(work, { directory: path, relative: `${relative}/` });
  }
}

function unescape(component: string): string {
  return component.replaceAll(/\\(.)/gsu, "$1");
}
