import type { BigIntStats } from "node:fs";
import { fileStat, type FileStat, type Syscalls } from "../core/index.ts";
import { fullStatOf, type LayerDirectory, locate, readXattrs } from "./disk.ts";
import type { LayerView } from "./layer-disk.ts";
import { applyLooks, type Looks, withoutCapability } from "./looks.ts";
import type { SidecarDisk } from "./sidecar-disk.ts";

/** A node with looks as it was left to a process. */
interface Left {
  readonly looks: Looks;
  readonly stat: BigIntStats;
}

/**
 * A tree in which a process has been at work, that knew nothing of the looks beside it. They belong to the node, wherever
 * it was moved: the same inode, made at the same time. A new node never has the looks of an old one, and of an old one
 * that was changed those looks stay that the process left alone.
 */
export class RevisitedDisk implements LayerView {
  readonly kernel: Syscalls;
  readonly directory: LayerDirectory;
  /** The process may be at work still. */
  readonly version = undefined;
  readonly #before: SidecarDisk;
  readonly #left = new Map<string, Left>();

  /** To be made before the process starts. */
  constructor(disk: SidecarDisk) {
    this.kernel = disk.kernel;
    this.directory = disk.directory;
    this.#before = disk;
    for (const [path, looks] of disk.book) {
      const stat = fullStatOf(locate(disk.directory, Buffer.from(path, "latin1")));
      if (stat !== undefined) this.#left.set(identity(stat), { looks, stat });
    }
  }

  stat(absolute: Buffer): FileStat | undefined {
    const stat = fullStatOf(absolute);
    if (stat === undefined) return undefined;
    const looks = this.#looksOf(stat);
    const disguised = this.#before.disguise(fileStat(stat));
    return looks === undefined ? disguised : applyLooks(disguised, looks);
  }

  /** A complete tree hides nothing. */
  isOpaque(): boolean {
    return false;
  }

  xattrs(absolute: Buffer): Map<string, Buffer> | undefined {
    const stat = this.#left.size === 0 ? undefined : fullStatOf(absolute);
    const looks = stat === undefined ? undefined : this.#looksOf(stat);
    const onDisk = looks?.standsFor === undefined ? readXattrs(this.kernel, absolute) : undefined;
    if (looks?.xattrs === undefined) return onDisk;
    const all = [...(onDisk ?? []), ...looks.xattrs];
    return new Map(all.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #looksOf(now: BigIntStats): Looks | undefined {
    const left = this.#left.size === 0 ? undefined : this.#left.get(identity(now));
    if (left === undefined) return undefined;
    const { looks, stat: before } = left;
    if (now.ctimeNs === before.ctimeNs) return looks;
    // Without a time of birth a new node with an old number cannot be told from an old one.
    if (now.birthtimeNs === 0n) return undefined;
    if (looks.standsFor !== undefined && now.size > 0n) return undefined;
    const isGiven = now.uid !== before.uid || now.gid !== before.gid;
    const isRewritten = isGiven || now.mtimeNs !== before.mtimeNs || now.size !== before.size;
    return {
      ...looks,
      uid: isGiven ? undefined : looks.uid,
      gid: isGiven ? undefined : looks.gid,
      mode: now.mode === before.mode ? looks.mode : undefined,
      // The kernel takes capabilities from a file that is written or given away.
      xattrs: isRewritten ? withoutCapability(looks.xattrs) : looks.xattrs,
    };
  }
}

function identity({ ino, birthtimeNs }: BigIntStats): string {
  return `${String(ino)}:${String(birthtimeNs)}`;
}
