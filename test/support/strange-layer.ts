import type { LayerEntryWithContent } from "../../src/layer/index.ts";
import {
  deviceEntry,
  directoryEntry,
  fifoEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "./layer-entries.ts";
import { pseudoRandom } from "./random.ts";

// Few names, so that entries meet; among them such as no text encoding and no shell likes. One character is one byte.
const names = ["a", "b", "c", "d", "\xff\xfe", "a word\n", "%3D=\\", "\xc3\xbc", "n".repeat(120)];
const sizes = [0, 0, 1, 511, 512, 4000, 4000, 4000, 9000, 9000, 30_000, 70_000, 530_000];
const modes = [0o644, 0o644, 0o644, 0o600, 0o4755, 0o000];
const directoryModes = [0o755, 0o755, 0o2775, 0o700, 0o1777];
const times = [0n, 1n, 1_700_000_000_123_456_789n, -5n, 2n ** 40n * 1_000_000_000n];

const userMark = ["user.mark", "00ff"] as const;
/** In the kernel's form, with a part for user 1000; everything that is made in the directory inherits it. */
const defaultAcl = [
  "system.posix_acl_default",
  "0200000001000700ffffffff02000700e803000004000500ffffffff10000700ffffffff20000500ffffffff",
] as const;
/** CAP_NET_RAW, permitted and effective. */
const capability = ["security.capability", "0100000200200000000000000000000000000000"] as const;

/** Layers as strangers may write them, one upon the other: odd in every way, and nearly always right. */
export class StrangeLayers {
  readonly #next: () => number;
  // What is there by now, by paths that lead through no symlink.
  readonly #directories = new Set<string>([""]);
  readonly #others = new Set<string>();
  /** Symlinks, and the directory that each leads to. */
  readonly #links = new Map<string, string>();
  /** What may be there or not: a mark came behind it, which takes away what lower layers have. */
  readonly #doubtful = new Set<string>();

  constructor(seed: number) {
    this.#next = pseudoRandom(seed);
  }

  /** The entries of one more layer. */
  layer(count: number): readonly LayerEntryWithContent[] {
    return Array.from({ length: count }, () => this.#entry());
  }

  #entry(): LayerEntryWithContent {
    const kind = Math.floor(this.#next() * 24);
    if (kind < 12) return this.#file();
    if (kind < 16) return this.#directory();
    if (kind < 18) return this.#hardlink();
    if (kind < 20) return this.#symlink();
    if (kind < 21) return this.#whiteout();
    if (kind < 22) return this.#opaque();
    const path = this.#claim(this.#others);
    const devMinor = Math.floor(this.#next() * 5);
    if (kind < 23) return { ...fifoEntry("", this.#looks(modes)), path: bytesOf(path) };
    return { ...deviceEntry("", { devMajor: 1, devMinor }), path: bytesOf(path) };
  }

  #file(): LayerEntryWithContent {
    const isLarge = this.#next() < 0.01;
    const content = Buffer.alloc(isLarge ? 1_100_000 : this.#pick(sizes), String(this.#next()));
    // With a hole in the middle.
    if (content.length > 60_000) content.fill(0, 4096, 53_248);
    const isMarked = this.#next() < 0.2;
    const mark = this.#pick([userMark, capability]);
    const path = bytesOf(this.#claim(this.#others));
    return fileEntry(path, content, { ...this.#looks(modes), ...(isMarked && xattr(mark)) });
  }

  /** A new one, or other looks for one that holds something already. */
  #directory(): LayerEntryWithContent {
    const isNew = this.#next() < 0.6;
    const path = isNew ? this.#claimDirectory() : this.#pick([...this.#directories]);
    const isMarked = this.#next() < 0.3;
    const mark = this.#pick([userMark, defaultAcl]);
    const looks = this.#looks(directoryModes);
    return directoryEntry(bytesOf(path), { ...looks, ...(isMarked && xattr(mark)) });
  }

  #hardlink(): LayerEntryWithContent {
    const path = this.#claim(this.#others);
    // Often one of the last, which may be on their way; not what the link has replaced.
    const targets = [...this.#others].filter((target) => target !== path).slice(-6);
    if (targets.length === 0) return fileEntry(bytesOf(path), "in place of a link");
    const linkTarget = bytesOf(this.#pick(targets));
    return hardlinkEntry(bytesOf(path), "", { linkTarget });
  }

  /** One that leads to a directory, by which later entries go; or one that leads nowhere. */
  #symlink(): LayerEntryWithContent {
    const path = this.#path();
    this.#forget(path);
    const leadsTo = this.#next() < 0.7 ? this.#pick([...this.#directories]) : undefined;
    if (leadsTo !== undefined) this.#links.set(path, leadsTo);
    const linkTarget = bytesOf(leadsTo === undefined ? "no/where" : `/${leadsTo}`);
    return symlinkEntry(bytesOf(path), "", { ...this.#looks(modes), linkTarget });
  }

  /** Of what lower layers have, of what this one made, which stays, or of nothing. */
  #whiteout(): LayerEntryWithContent {
    const path = this.#path();
    this.#doubt((known) => known === path || known.startsWith(`${path}/`));
    const at = path.lastIndexOf("/") + 1;
    return fileEntry(bytesOf(`${path.slice(0, at)}.wh.${path.slice(at)}`));
  }

  #opaque(): LayerEntryWithContent {
    const directory = this.#pick([...this.#directories]);
    const prefix = directory === "" ? "" : `${directory}/`;
    this.#doubt((path) => path.startsWith(prefix));
    return fileEntry(bytesOf(`${prefix}.wh..wh..opq`));
  }

  /** A path for something new, which replaces what is there. */
  #claim(kind: Set<string>): string {
    const path = this.#path();
    this.#forget(path);
    kind.add(path);
    return this.#next() < 0.2 ? this.#detour(path) : path;
  }

  #claimDirectory(): string {
    const path = this.#path();
    if (!this.#directories.has(path)) this.#forget(path);
    this.#directories.add(path);
    return path;
  }

  /** In a directory that is there, or in one that no entry announces. */
  #path(): string {
    let directory = this.#pick([...this.#directories]);
    if (directory.split("/").length > 3) directory = "";
    const implied = join(directory, this.#pick(names));
    const taken = [this.#others, this.#links, this.#doubtful];
    const isFree = !taken.some((known) => known.has(implied));
    if (this.#next() < 0.1 && isFree) this.#directories.add((directory = implied));
    return join(directory, this.#pick(names));
  }

  /** The same place by way of a symlink, where there is one. */
  #detour(path: string): string {
    for (const [link, directory] of this.#links) {
      const prefix = directory === "" ? "" : `${directory}/`;
      // Not by what the entry itself takes away.
      const isWay = path.startsWith(prefix) && this.#directories.has(directory);
      if (isWay) return join(link, path.slice(prefix.length));
    }
    return path;
  }

  #forget(path: string): void {
    for (const known of [this.#directories, this.#others, this.#links, this.#doubtful]) {
      for (const at of known.keys()) if (at === path || at.startsWith(`${path}/`)) known.delete(at);
    }
  }

  #doubt(isMarked: (path: string) => boolean): void {
    for (const known of [this.#directories, this.#others, this.#links]) {
      for (const path of known.keys()) {
        if (path === "" || !isMarked(path)) continue;
        known.delete(path);
        this.#doubtful.add(path);
      }
    }
  }

  #looks(from: readonly [number, ...number[]] | readonly number[]) {
    const [uid, gid] = this.#pick([[0, 0] as const, [0, 0], [7, 50], [3_000_000, 0]]);
    return { mode: this.#pick(from), uid, gid, mtime: this.#pick(times) };
  }

  #pick<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#next() * values.length)] as Value;
  }
}

function xattr([name, value]: readonly [string, string]) {
  return { xattrs: new Map([[name, Buffer.from(value, "hex")]]) };
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, "latin1");
}
