import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  type BigIntStats,
} from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { type Syscalls } from "../../core/index.ts";

const slash = Buffer.from("/");

/**
 * Copies a node, with everything below it, to a place where nothing is: contents, owners, modes, times, attributes, hard
 * links within. A socket gets a second name, behind which the same one answers.
 */
export async function copyInto(
  kernel: Syscalls,
  paths: { readonly from: string; readonly to: string },
  signal?: AbortSignal,
): Promise<void> {
  const copy = new Copy(kernel, signal);
  await copy.node(Buffer.from(paths.from), Buffer.from(paths.to));
}

class Copy {
  readonly #kernel: Syscalls;
  readonly #signal: AbortSignal | undefined;
  /** First copies of files with several names. */
  readonly #links = new Map<string, Buffer>();

  constructor(kernel: Syscalls, signal: AbortSignal | undefined) {
    this.#kernel = kernel;
    this.#signal = signal;
  }

  async node(from: Buffer, to: Buffer): Promise<void> {
    const stat = lstatSync(from, { bigint: true });
    if (stat.isSocket()) return this.#kernel.linkat(from, to);
    if (!stat.isDirectory() && stat.nlink > 1n) {
      const name = `${String(stat.dev)}:${String(stat.ino)}`;
      const first = this.#links.get(name);
      if (first !== undefined) return this.#kernel.linkat(first, to);
      this.#links.set(name, to);
    }
    if (stat.isDirectory()) await this.#directory(from, to);
    else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from, { encoding: "buffer" }), to);
    else if (stat.isFile()) copyFileSync(from, to, constants.COPYFILE_FICLONE);
    else this.#kernel.mknod(to, { mode: Number(stat.mode), ...deviceOf(stat.rdev) });
    this.#looks(from, to, stat);
  }

  async #directory(from: Buffer, to: Buffer): Promise<void> {
    mkdirSync(to, 0o700);
    // A large tree is not to hold up the output of steps that run meanwhile.
    await breathe();
    this.#signal?.throwIfAborted();
    for (const name of readdirSync(from, { encoding: "buffer" })) {
      await this.node(Buffer.concat([from, slash, name]), Buffer.concat([to, slash, name]));
    }
  }

  /** In this order: a new owner takes setuid bits and file capabilities away, and everything changes times. */
  #looks(from: Buffer, to: Buffer, stat: BigIntStats): void {
    this.#kernel.lchown(to, Number(stat.uid), Number(stat.gid));
    if (!stat.isSymbolicLink()) chmodSync(to, Number(stat.mode) & 0o7777);
    for (const name of this.#kernel.llistxattr(from)) {
      const value = name.startsWith("trusted.") ? undefined : this.#kernel.lgetxattr(from, name);
      if (value !== undefined) this.#kernel.lsetxattr(to, name, value);
    }
    this.#kernel.utimens(to, { mtime: stat.mtimeNs });
  }
}

/** As libc packs them into 64 bits. */
function deviceOf(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}
