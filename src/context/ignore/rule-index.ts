import { unreachable } from "../../core/index.ts";
import type { ExpressionTest, PathTest } from "./compile-pattern.ts";

interface Suffix {
  readonly suffix: string;
  readonly index: number;
}

interface Simple {
  readonly index: number;
  matches(path: string): boolean;
}

interface PathParts {
  readonly below: string;
  readonly name: string;
}

/** Rules about the ends of names that have one extension. */
interface Extension {
  /** The last rule that takes all of them. */
  all: number;
  /** Rules that say more of the name than this. */
  readonly longer: Suffix[];
}

/**
 * Expressions over one subject. Nearly every path matches none of them, which one joined expression tells at once: the
 * engine shares what alternatives have in common.
 */
class ExpressionGroup {
  /** Newest last. */
  readonly #expressions: { readonly expression: RegExp; readonly index: number }[] = [];
  #joined: RegExp | undefined;

  get isEmpty(): boolean {
    return this.#expressions.length === 0;
  }

  /** Rules come in ascending order of `index`. */
  add(expression: RegExp, index: number): void {
    this.#expressions.push({ expression, index });
    this.#joined = undefined;
  }

  /** Number of the last rule that matches, or `after` unless that number is higher. */
  find(subject: string, after: number): number {
    const last = this.#expressions.at(-1);
    if (last === undefined || last.index <= after) return after;
    this.#joined ??= this.#join();
    if (!this.#joined.test(subject)) return after;
    const found = this.#expressions.findLast(({ expression }) => expression.test(subject));
    return Math.max(found?.index ?? -1, after);
  }

  #join(): RegExp {
    // Each source is ^…$.
    const sources = this.#expressions.map(({ expression }) => expression.source.slice(1, -1));
    return new RegExp(`^(?:${sources.join("|")})$`, "su");
  }
}

/**
 * Finds the last of many rules that matches a path itself (its parents are the caller's affair). Names, file name
 * extensions and whole paths are looked up in maps, expressions are tried as one.
 */
export class RuleIndex {
  readonly #exact = new Map<string, number>();
  /** The same by directory and name; made when it is asked for. */
  #exactByDirectory: ReadonlyMap<string, ReadonlyMap<string, number>> | undefined;
  readonly #below = new Map<string, number>();
  readonly #byName = new Map<string, Suffix[]>();
  readonly #byExtension = new Map<string, Extension>();
  readonly #names = new ExpressionGroup();
  readonly #byDepth = new Map<number, ExpressionGroup>();
  /** Expressions of any depth, by what they say plainly of the first and the last component: `first/last`. */
  readonly #byEnds = new Map<string, ExpressionGroup>();
  readonly #simple: Simple[] = [];

  constructor(tests: readonly PathTest[]) {
    tests.forEach((test, index) => this.#add(test, index));
  }

  /** Number of the last rule that matches `path`, or `after` unless that number is higher. */
  find(path: string, after: number): number {
    const slash = path.lastIndexOf("/");
    let best = after;
    // A long path is hashed before it is looked up.
    if (this.#exact.size > 0) best = Math.max(best, this.#exact.get(path) ?? -1);
    if (this.#below.size > 0 && slash !== -1)
      best = Math.max(best, this.#below.get(path.slice(0, slash)) ?? -1);
    const name = path.slice(slash + 1);
    const extension = this.#byExtension.size === 0 ? undefined : this.#extension(extensionOf(name));
    if (extension !== undefined) best = lastOfExtension(extension, { name, best });
    return this.#findByParts({ below: path.slice(0, slash + 1), name }, best);
  }

  /** The same for the names in one directory: what they have in common is looked up once, and few paths are put together. */
  inside(directory: string, after: number): (name: string) => number {
    const below = directory === "" ? "" : `${directory}/`;
    const shared = Math.max(after, directory === "" ? -1 : (this.#below.get(directory) ?? -1));
    const plain = this.#exactIn(directory);
    const extensionOfName = this.#byExtension.size === 0 ? undefined : this.#extensions();
    const hasMore = this.#hasMore();
    return (name) => {
      let best = shared;
      if (plain !== undefined) best = Math.max(best, plain.get(name) ?? -1);
      const extension = extensionOfName?.(name);
      if (extension !== undefined) best = lastOfExtension(extension, { name, best });
      return hasMore ? this.#findByParts({ below, name }, best) : best;
    };
  }

  /** Whether there are rules that say neither a whole path nor how a name ends. */
  #hasMore(): boolean {
    const ofAnyDepth = this.#byName.size + this.#simple.length + this.#byEnds.size;
    return ofAnyDepth > 0 || this.#byDepth.size > 0 || !this.#names.isEmpty;
  }

  /** What such rules say. `below` is empty, or ends with a slash. */
  #findByParts({ below, name }: PathParts, after: number): number {
    let best = after;
    const named = this.#byName.size > 0 ? this.#byName.get(name) : undefined;
    if (named !== undefined) best = lastSuffix(named, { path: `/${below}${name}`, best });
    for (const { index, matches } of this.#simple)
      if (index > best && matches(below + name)) best = index;
    best = this.#names.find(name, best);
    if (this.#byEnds.size > 0) best = this.#findByEnds({ path: below + name, name }, best);
    if (this.#byDepth.size === 0) return best;
    return this.#byDepth.get(countSlashes(below) + 1)?.find(below + name, best) ?? best;
  }

  /** Files that lie together often end alike, and to compare ends is cheaper than to look one up: that hashes it. */
  #extensions(): (name: string) => Extension | undefined {
    let last = "";
    let found: Extension | undefined;
    return (name) => {
      if (last !== "" && name.endsWith(last)) return found;
      last = extensionOf(name);
      return (found = this.#extension(last));
    };
  }

  #extension(extension: string): Extension | undefined {
    return extension === "" ? undefined : this.#byExtension.get(extension);
  }

  /** Names in a directory whose paths rules say plainly. */
  #exactIn(directory: string): ReadonlyMap<string, number> | undefined {
    this.#exactByDirectory ??= byDirectory(this.#exact);
    return this.#exactByDirectory.get(directory);
  }

  #add(test: PathTest, index: number): void {
    const simple = (matches: (path: string) => boolean): void => {
      this.#simple.push({ index, matches });
    };
    switch (test.kind) {
      case "all":
        return simple(() => true);
      case "exact":
        this.#exact.set(test.path, index);
        return;
      case "below":
        this.#below.set(test.directory, index);
        return;
      case "prefix":
        return simple((path) => path.startsWith(test.prefix));
      case "suffix": {
        const { suffix } = test;
        if (!suffix.startsWith("/")) return simple((path) => path.endsWith(suffix));
        return append(this.#byName, suffix.slice(suffix.lastIndexOf("/") + 1), { suffix, index });
      }
      case "name-suffix": {
        const { suffix } = test;
        const dot = suffix.lastIndexOf(".");
        if (dot === -1) return simple((path) => path.endsWith(suffix));
        return this.#addExtension(suffix.slice(dot), { suffix, index });
      }
      case "name":
        return this.#names.add(test.expression, index);
      case "expression":
        return this.#groupOf(test).add(test.expression, index);
      default:
        return unreachable(test);
    }
  }

  #addExtension(extension: string, rule: Suffix): void {
    const known = this.#byExtension.get(extension) ?? { all: -1, longer: [] };
    if (rule.suffix === extension) known.all = rule.index;
    else known.longer.push(rule);
    this.#byExtension.set(extension, known);
  }

  /** Of ten thousand rules with `**` inside, a path meets those few whose first and last component are its own. */
  #findByEnds({ path, name }: { readonly path: string; readonly name: string }, after: number) {
    const slash = path.indexOf("/");
    const first = slash === -1 ? path : path.slice(0, slash);
    let best = after;
    for (const ends of [`${first}/${name}`, `${first}/`, `/${name}`, "/"])
      best = this.#byEnds.get(ends)?.find(path, best) ?? best;
    return best;
  }

  #groupOf({ depth, first = "", last = "" }: ExpressionTest): ExpressionGroup {
    return depth === undefined
      ? groupIn(this.#byEnds, `${first}/${last}`)
      : groupIn(this.#byDepth, depth);
  }
}

/** From the last dot on; empty where there is none. */
function extensionOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot === -1 ? "" : name.slice(dot);
}

function byDirectory(paths: ReadonlyMap<string, number>): Map<string, Map<string, number>> {
  const directories = new Map<string, Map<string, number>>();
  for (const [path, index] of paths) {
    const slash = path.lastIndexOf("/");
    const directory = path.slice(0, Math.max(slash, 0));
    const names = directories.get(directory) ?? new Map<string, number>();
    names.set(path.slice(slash + 1), index);
    directories.set(directory, names);
  }
  return directories;
}

function groupIn<Key>(groups: Map<Key, ExpressionGroup>, key: Key): ExpressionGroup {
  const group = groups.get(key) ?? new ExpressionGroup();
  groups.set(key, group);
  return group;
}

/** Whether the test may hold for some path below `directory` (not empty). Says yes when it cannot tell. */
export function mayMatchBelow(test: PathTest, directory: string): boolean {
  const inside = `${directory}/`;
  switch (test.kind) {
    case "all":
    case "suffix":
    case "name-suffix":
    case "name":
      return true;
    case "exact":
      return test.path.startsWith(inside);
    case "below":
      return `${test.directory}/`.startsWith(inside) || inside.startsWith(`${test.directory}/`);
    case "prefix":
      return test.prefix.startsWith(inside) || inside.startsWith(test.prefix);
    case "expression": {
      const components = directory.split("/");
      const { leading, depth } = test;
      if (depth !== undefined && depth <= components.length) return false;
      return leading.every((component, index) => {
        const name = components[index];
        return name === undefined || component.test(name);
      });
    }
    default:
      return unreachable(test);
  }
}

function lastSuffix(
  rules: readonly Suffix[],
  found: { readonly path: string; readonly best: number },
): number {
  let { best } = found;
  for (const { suffix, index } of rules) {
    if (index > best && found.path.endsWith(suffix)) best = index;
  }
  return best;
}

function lastOfExtension(
  { all, longer }: Extension,
  found: { readonly name: string; readonly best: number },
): number {
  const best = Math.max(all, found.best);
  return longer.length === 0 ? best : lastSuffix(longer, { path: found.name, best });
}

function append(map: Map<string, Suffix[]>, key: string, rule: Suffix): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [rule]);
  else known.push(rule);
}

function countSlashes(path: string): number {
  let count = 0;
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) count++;
  return count;
}
