import fc from "fast-check";
import { expect, test } from "vitest";
import { selectSources } from "../../src/context/index.ts";
import type { MergedTree, NodeStat } from "../../src/layer/index.ts";

/** Go's path.Match for one component, written down as its documentation reads. */
function matchesName(pattern: string, name: string): boolean {
  const [sign] = pattern;
  if (sign === undefined) return name === "";
  if (sign === "*")
    return [...name, ""].some((_, at) => matchesName(pattern.slice(1), name.slice(at)));
  const [first] = name;
  if (first === undefined) return false;
  if (sign === "?") return matchesName(pattern.slice(1), name.slice(1));
  if (sign === "\\") return pattern[1] === first && matchesName(pattern.slice(2), name.slice(1));
  if (sign !== "[") return sign === first && matchesName(pattern.slice(1), name.slice(1));
  const end = pattern.indexOf("]");
  const negated = pattern[1] === "^";
  const members = pattern.slice(negated ? 2 : 1, end);
  const isMember = /^.-.$/.test(members)
    ? first >= (members[0] ?? "") && first <= (members[2] ?? "")
    : members.includes(first);
  return isMember !== negated && matchesName(pattern.slice(end + 1), name.slice(1));
}

/** Component by component; `**`, with `parents`, is any number of directories, and something below them at the end. */
function matchesPath(
  pattern: readonly string[],
  path: readonly string[],
  parents: boolean,
): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  if (first === "**" && parents) {
    if (rest.length === 0) return path.length > 0;
    return [...path, ""].some((_, at) => matchesPath(rest, path.slice(at), parents));
  }
  const [name, ...below] = path;
  return name !== undefined && matchesName(first, name) && matchesPath(rest, below, parents);
}

/** Of all paths those that match, without what lies below one of them; siblings in the order of their bytes. */
function expected(paths: readonly string[], pattern: string, parents: boolean): string[] {
  const found = paths.filter((path) => matchesPath(pattern.split("/"), path.split("/"), parents));
  return found.filter((path) => !found.some((other) => path.startsWith(`${other}/`)));
}

/** Directories and files; a path that another one begins with is a directory. Walked in byte order. */
function treeOf(files: readonly string[]): { readonly tree: MergedTree; readonly paths: string[] } {
  const children = new Map<string, Set<string>>([["", new Set()]]);
  for (const file of files) {
    const parts = file.split("/");
    for (let length = 1; length <= parts.length; length++) {
      const parent = parts.slice(0, length - 1).join("/");
      const names = children.get(parent) ?? new Set();
      children.set(parent, names.add(parts[length - 1] ?? ""));
    }
  }
  const below = (path: string): string[] => [...(children.get(path) ?? [])].sort();
  const paths = (path: string): string[] =>
    below(path).flatMap((name) => {
      const child = path === "" ? name : `${path}/${name}`;
      return [child, ...paths(child)];
    });
  const all = paths("");
  const looks = { mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0n, devMajor: 0, devMinor: 0 };
  const refuse = (): Promise<never> => Promise.reject(new Error("not for selecting"));
  const tree: MergedTree = {
    lstat: async (path): Promise<NodeStat | undefined> => {
      const text = path.toString();
      if (text !== "" && !all.includes(text)) return undefined;
      const type = children.has(text) ? "directory" : "file";
      return { ...looks, type, nlink: 1, inode: text };
    },
    readdir: async (path) => below(path.toString()).map((name) => Buffer.from(name)),
    readlink: refuse,
    xattrs: refuse,
    openFile: refuse,
  };
  return { tree, paths: all };
}

const name = fc.constantFrom("a", "b", "ab", "abc", ".a", "a.js", "x.js", "*", "[a]", "a-b");
const file = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const files = fc.array(file, { minLength: 1, maxLength: 10 });
const component = fc.constantFrom(
  ...["*", "?", "a*", "*b", "*.js", "[ab]*", "[^a]*", "[a-b]?", "a?c", ".*", "*\\*", "\\[a]*"],
  ...["a", "b", "ab"],
);
const wild = fc
  .array(component, { minLength: 1, maxLength: 4 })
  // A plain name before the wildcards has to exist, which is told elsewhere.
  .filter(([first = ""]) => /[*?[]/.test(first.replace(/\\./g, "")))
  .map((parts) => parts.join("/"));

test("a wildcard selects what Go's path.Match selects, in lexical order [3.43]", async () => {
  await fc.assert(
    fc.asyncProperty(files, wild, async (names, pattern) => {
      const { tree, paths } = treeOf(names);
      const selected = await selectSources(tree, pattern);
      expect(selected.map(String)).toEqual(expected(paths, pattern, false));
    }),
    { numRuns: 300 },
  );
});

test("with --parents, ** is any number of directories, and nothing below a match is selected [3.62]", async () => {
  const pattern = fc
    .array(fc.oneof({ weight: 2, arbitrary: component }, fc.constant("**")), {
      minLength: 1,
      maxLength: 4,
    })
    .filter(([first = ""]) => /[*?[]/.test(first.replace(/\\./g, "")))
    .map((parts) => parts.join("/"));
  await fc.assert(
    fc.asyncProperty(files, pattern, async (names, text) => {
      const { tree, paths } = treeOf(names);
      const selected = await selectSources(tree, text, { parents: true });
      expect(selected.map(String)).toEqual(expected(paths, text, true));
    }),
    { numRuns: 300 },
  );
});
