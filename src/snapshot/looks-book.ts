import { isPlain, type Looks } from "./looks.ts";

/**
 * The looks of a layer's nodes by their path in it (as Latin-1). Most nodes have none here, and those that do are mostly
 * alike: equal looks are one object. Names that were linked to one another go on sharing theirs.
 */
export class LooksBook {
  readonly #looks = new Map<string, Looks>();
  readonly #links = new Map<string, Set<string>>();
  readonly #known = new Map<string, Looks>();
  /** Whether owners on the disk are the image's. Else nodes without a word here are root's. */
  readonly hasOwnersOnDisk: boolean;

  constructor(hasOwnersOnDisk: boolean) {
    this.hasOwnersOnDisk = hasOwnersOnDisk;
  }

  get size(): number {
    return this.#looks.size;
  }

  get(path: string): Looks | undefined {
    return this.#looks.get(path);
  }

  set(path: string, looks: Looks): void {
    const kept = isPlain(looks) ? undefined : this.#intern(looks);
    for (const name of this.#links.get(path) ?? [path]) {
      if (kept === undefined) this.#looks.delete(name);
      else this.#looks.set(name, kept);
    }
  }

  /** `path` becomes one more name of the node at `target`. */
  link(target: string, path: string): void {
    const names = this.#links.get(target) ?? new Set([target]);
    names.add(path);
    this.#links.set(target, names).set(path, names);
    const looks = this.#looks.get(target);
    if (looks !== undefined) this.#looks.set(path, looks);
  }

  drop(path: string): void {
    this.#looks.delete(path);
    this.#links.get(path)?.delete(path);
    this.#links.delete(path);
  }

  /** Drops `path` and everything below it. */
  dropTree(path: string): void {
    if (path === "") {
      this.#looks.clear();
      this.#links.clear();
      return;
    }
    const below = `${path}/`;
    for (const names of [this.#looks, this.#links]) {
      for (const name of [...names.keys()])
        if (name === path || name.startsWith(below)) this.drop(name);
    }
  }

  [Symbol.iterator](): IterableIterator<[string, Looks]> {
    return this.#looks.entries();
  }

  #intern(looks: Looks): Looks {
    if (looks.xattrs !== undefined) return looks;
    const { standsFor, mode, uid, gid, isOpaque } = looks;
    const device = standsFor?.type === "whiteout" ? standsFor.type : Object.values(standsFor ?? {});
    const name = [device, mode, uid, gid, isOpaque].join();
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.#known.set(name, looks);
    return looks;
  }
}
