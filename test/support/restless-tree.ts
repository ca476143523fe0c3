import { createInterface } from "node:readline";
import {
  closeSync,
  ftruncateSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pseudoRandom } from "./random.ts";
import { contentOf, type FileState } from "./restless-content.ts";

/*
 * A program that changes a tree without pause: `restless-tree FOLDER SEED` makes FOLDER/tree; `go GAP` on its standard
 * input lets it begin, with so many milliseconds between changes, and `stop` lets it end, whereupon it tells on one line
 * every state that a file of the tree had since `go`.
 */

const directories = 20;
const filesEach = 35;
/** Written at a time: one page, which a reader sees as a whole or not at all. */
const page = 4096;

class RestlessTree {
  readonly #folder: string;
  readonly #random: () => number;
  /** What plain files hold, by path. */
  readonly #now = new Map<string, { readonly serial: number; readonly length: number }>();
  /** Directories that stand aside while a link to elsewhere has their name. */
  readonly #away = new Set<number>();
  #states: FileState[] = [];
  #serial = 0;

  constructor(folder: string, seed: number) {
    this.#folder = folder;
    this.#random = pseudoRandom(seed);
    mkdirSync(join(folder, "spare"));
    for (let directory = 0; directory < directories; directory++) {
      mkdirSync(this.#place(directory), { recursive: true });
      for (let file = 0; file < filesEach; file++) {
        this.#replace(join(this.#place(directory), `f${String(file)}`));
      }
    }
  }

  /** Forgets what was, except for what is. */
  begin(): void {
    this.#states = [...this.#now.values()].map((content) => plain(content));
  }

  /** Every state that a file had since `begin`. */
  states(): readonly FileState[] {
    return this.#states;
  }

  change(): void {
    const directory = this.#below(directories);
    if (this.#random() < 0.03) return this.#exchange(directory);
    const path = join(this.#place(directory), `f${String(this.#below(filesEach))}`);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isFile() !== true) {
      if (found !== undefined) unlinkSync(path);
      return this.#random() < 0.5 ? this.#replace(path) : this.#rewrite(path);
    }
    const ways = [
      () => this.#replace(path),
      () => this.#rewrite(path),
      () => this.#overwrite(path),
      () => this.#truncate(path),
      () => this.#grow(path),
      () => this.#remove(path),
      () => this.#move(path),
      () => this.#link(path),
    ];
    ways[this.#below(ways.length)]?.();
  }

  /** By rename: no moment at which it is not whole. */
  #replace(path: string): void {
    const content = this.#newContent();
    const spare = join(this.#folder, "spare", "next");
    writeFileSync(spare, contentOf(content.serial, content.length));
    this.#tell(plain(content));
    renameSync(spare, path);
    this.#now.set(path, content);
  }

  /** Emptied first. */
  #rewrite(path: string): void {
    const content = this.#newContent();
    this.#tell({ kind: "plain", serial: content.serial, from: 0, to: content.length });
    const fd = openSync(path, "w");
    this.#write(fd, content);
    closeSync(fd);
    this.#now.set(path, content);
  }

  /** From front to back over what is there; every other time with the time of before. */
  #overwrite(path: string): void {
    const below = this.#known(path);
    const content = this.#newContent();
    this.#tell({ kind: "over", ...content, below });
    this.#tell(plain(content));
    const fd = openSync(path, "r+");
    const { atime, mtime } = fstatSync(fd);
    this.#write(fd, content);
    ftruncateSync(fd, content.length);
    closeSync(fd);
    if (this.#random() < 0.5) utimesSync(path, atime, mtime);
    this.#now.set(path, content);
  }

  #truncate(path: string): void {
    const { serial, length } = this.#known(path);
    const content = { serial, length: this.#below(length + 1) };
    this.#tell(plain(content));
    truncateSync(path, content.length);
    this.#now.set(path, content);
  }

  #grow(path: string): void {
    const { serial, length } = this.#known(path);
    const content = { serial, length: length + 1 + this.#below(3000) };
    this.#tell({ kind: "plain", serial, from: length, to: content.length });
    const fd = openSync(path, "r+");
    this.#write(fd, content, length);
    closeSync(fd);
    this.#now.set(path, content);
  }

  #remove(path: string): void {
    unlinkSync(path);
    this.#now.delete(path);
  }

  /** To another name, which may be taken. */
  #move(path: string): void {
    const target = join(
      this.#place(this.#below(directories)),
      `f${String(this.#below(filesEach))}`,
    );
    const content = this.#known(path);
    renameSync(path, target);
    this.#now.delete(path);
    this.#now.set(target, content);
  }

  #link(path: string): void {
    unlinkSync(path);
    symlinkSync(join(this.#folder, "outside/secret"), path);
    this.#now.delete(path);
  }

  /** A directory and a link out of the tree change places. */
  #exchange(directory: number): void {
    const path = this.#name(directory);
    if (this.#away.delete(directory)) {
      unlinkSync(path);
      renameSync(`${path}.away`, path);
      this.#rename(`${path}.away/`, `${path}/`);
    } else {
      this.#away.add(directory);
      renameSync(path, `${path}.away`);
      symlinkSync(join(this.#folder, "outside"), path);
      this.#rename(`${path}/`, `${path}.away/`);
    }
  }

  #rename(from: string, to: string): void {
    for (const [path, content] of [...this.#now]) {
      if (!path.startsWith(from)) continue;
      this.#now.delete(path);
      this.#now.set(to + path.slice(from.length), content);
    }
  }

  #write(
    fd: number,
    { serial, length }: { readonly serial: number; readonly length: number },
    start = 0,
  ): void {
    const bytes = contentOf(serial, length);
    for (let at = start; at < length;) {
      const end = Math.min(length, (Math.floor(at / page) + 1) * page);
      at += writeSync(fd, bytes, at, end - at, at);
    }
  }

  /** Most files are small, some are larger than what is read at a time. */
  #newContent(): { readonly serial: number; readonly length: number } {
    this.#serial += 1;
    const most = this.#random() < 0.99 ? 6000 : this.#random() < 0.9 ? 300_000 : 3_000_000;
    return { serial: this.#serial, length: this.#below(most) };
  }

  #known(path: string): { readonly serial: number; readonly length: number } {
    const content = this.#now.get(path);
    if (content === undefined) throw new Error(`${path} is not known`);
    return content;
  }

  #tell(state: FileState): void {
    this.#states.push(state);
  }

  #name(directory: number): string {
    return join(this.#folder, "tree", `d${String(directory)}`);
  }

  #place(directory: number): string {
    return this.#name(directory) + (this.#away.has(directory) ? ".away" : "");
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
}

function plain({
  serial,
  length,
}: {
  readonly serial: number;
  readonly length: number;
}): FileState {
  return { kind: "plain", serial, from: length, to: length };
}

async function main(folder: string, seed: number): Promise<void> {
  rmSync(join(folder, "tree"), { recursive: true, force: true });
  const tree = new RestlessTree(folder, seed);
  let isGoing = false;
  const work = async (gap: number): Promise<void> => {
    while (isGoing) {
      tree.change();
      // Even without a gap: so `stop` is heard.
      await (gap === 0 ? new Promise((resolve) => setImmediate(resolve)) : sleep(gap));
    }
  };
  let working = Promise.resolve();
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const [order, gap] = line.split(" ");
    if (order === "go") {
      tree.begin();
      isGoing = true;
      working = work(Number(gap));
      console.log("going");
    } else {
      isGoing = false;
      await working;
      console.log(JSON.stringify(tree.states()));
    }
  }
}

const [folder = "", seed = "1"] = process.argv.slice(2);
await main(folder, Number(seed));
