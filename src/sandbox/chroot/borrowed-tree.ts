import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { errnoOf, removeTree, syscallErrno, type Syscalls } from "../../core/index.ts";
import { sandboxError } from "../errors.ts";
import { copyInto } from "./copy-into.ts";

const O_PATH = 0o10000000;

/** A node that stands for another one for a while. */
interface Substitute {
  /** Descriptor of the directory in which it stands. */
  readonly parent: number;
  readonly name: string;
  /** Descriptor of the substitute itself: it is found wherever it was moved to. */
  readonly held: number;
  /** Where the tree's own node waits; undefined when there was none. */
  readonly aside: string | undefined;
  /** For what was moved here from elsewhere, and goes back. */
  readonly home: { readonly path: string; readonly note: string } | undefined;
  readonly isSecret: boolean;
}

/**
 * A complete root filesystem in which other nodes stand, for the time of a step, where mounts would be. `giveBack` puts
 * everything as a step with mounts would have left it: what was done to the substitutes is gone (or is with what was
 * moved here), the tree's own nodes are at their places, and the times of the directories around them are those that
 * the step gave them.
 *
 * Places are held by descriptors of their directories. So nothing that a step does to names, links or parents makes
 * `giveBack` touch anything else.
 */
export class BorrowedTree {
  readonly #kernel: Syscalls;
  readonly #aside: string;
  readonly #root: number;
  readonly #substitutes: Substitute[] = [];
  #count = 0;

  /** `aside` is a folder on the same filesystem, which is made and goes in the end. */
  constructor(options: {
    readonly kernel: Syscalls;
    readonly root: string;
    readonly aside: string;
  }) {
    this.#kernel = options.kernel;
    this.#aside = options.aside;
    mkdirSync(options.aside, { mode: 0o700 });
    this.#root = openSync(options.root, O_PATH | constants.O_DIRECTORY);
  }

  /** Absolute path of the host at which `target` really lies; undefined when there is nothing. */
  find(target: string): string | undefined {
    try {
      const fd = this.#kernel.openat2(this.#root, target, {
        flags: O_PATH,
        resolve: { inRoot: true, noMagicLinks: true },
      });
      try {
        return readlinkSync(`/proc/self/fd/${String(fd)}`);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (syscallErrno(error) === "ENOENT") return undefined;
      throw mountFailed(target, error);
    }
  }

  /** Makes what is missing on the way to `target`, and a node there. */
  makePlace(target: string, isFile: boolean): void {
    const names = target.split("/").filter((name) => name !== "");
    for (const [index, name] of names.entries()) {
      const path = `/${names.slice(0, index + 1).join("/")}`;
      if (this.find(path) !== undefined) continue;
      const parent = this.find(dirname(path)) ?? "";
      if (isFile && index === names.length - 1) {
        writeFileSync(join(parent, name), "", { flag: "wx", mode: 0o644 });
      } else mkdirSync(join(parent, name), 0o755);
    }
  }

  /**
   * Puts what `make` makes at `target`, which is there.
   * @throws SANDBOX_MOUNT_FAILED when it is not
   */
  async replace(
    target: string,
    make: (path: string) => void | Promise<void>,
    how: { readonly isSecret?: boolean } = {},
  ): Promise<void> {
    await this.#put(target, { home: undefined, isSecret: how.isSecret ?? false, make });
  }

  /** Puts a new node into the root, where `name` may be missing. */
  async replaceInRoot(name: string, make: (path: string) => void | Promise<void>): Promise<void> {
    const path = readlinkSync(`/proc/self/fd/${String(this.#root)}`);
    await this.#putAt(join(path, name), { home: undefined, isSecret: false, make });
  }

  /**
   * Moves `source` itself to `target`, and back in the end; a note in the folder `noteIn` tells where it is meanwhile.
   * Where it lies on another filesystem, it is copied there and back, and stays until the copy is back.
   */
  async moveIn(
    target: string,
    move: { readonly source: string; readonly noteIn: string },
  ): Promise<void> {
    const note = join(move.noteIn, `away-${randomBytes(6).toString("hex")}`);
    const home = { path: move.source, note };
    const make = async (path: string): Promise<void> => {
      const place = join(readlinkSync(dirname(path)), basename(path));
      writeFileSync(note, JSON.stringify({ home: move.source, place }), { mode: 0o600 });
      try {
        await this.#move(move.source, path);
      } catch (error) {
        unlinkSync(note);
        throw error;
      }
    };
    await this.#put(target, { home, isSecret: false, make });
  }

  /** Idempotent. The step's processes are gone. */
  async giveBack(): Promise<void> {
    for (const substitute of this.#substitutes.splice(0).reverse())
      await this.#takeAway(substitute);
    if (!existsSync(this.#aside)) return;
    closeSync(this.#root);
    await removeTree(this.#aside);
  }

  /** Paths of the secrets on the host. */
  secretFiles(): readonly string[] {
    return this.#substitutes
      .filter(({ isSecret }) => isSecret)
      .map(({ held }) => readlinkSync(`/proc/self/fd/${String(held)}`));
  }

  async #put(target: string, what: Making): Promise<void> {
    const path = this.find(target);
    if (path === undefined)
      throw mountFailed(target, Object.assign(new Error(), { code: "ENOENT" }));
    await this.#putAt(path, what);
  }

  async #putAt(path: string, { home, isSecret, make }: Making): Promise<void> {
    const parent = openSync(dirname(path), O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const name = basename(path);
    const place = inDirectory(parent, name);
    const mtime = fstatSync(parent, { bigint: true }).mtimeNs;
    const aside = this.#putAside(place);
    const undo = (): void => {
      if (aside !== undefined) renameSync(aside, place);
      closeSync(parent);
    };
    let held: number;
    try {
      await make(place);
      held = openSync(place, O_PATH | constants.O_NOFOLLOW);
    } catch (error) {
      await removeTree(place);
      undo();
      throw error;
    }
    this.#substitutes.push({ parent, name, held, aside, home, isSecret });
    this.#setTime(parent, mtime);
  }

  #putAside(place: string): string | undefined {
    if (lstatSync(place, { throwIfNoEntry: false }) === undefined) return undefined;
    this.#count += 1;
    const aside = join(this.#aside, String(this.#count));
    renameSync(place, aside);
    return aside;
  }

  async #takeAway(substitute: Substitute): Promise<void> {
    const { parent, name, held, aside, home } = substitute;
    const place = inDirectory(parent, name);
    const mtime = fstatSync(parent, { bigint: true }).mtimeNs;
    if (home !== undefined) await this.#sendHome(held, home);
    else await this.#drop(substitute);
    closeSync(held);
    // Whatever a step has put there instead, which mounts would not have let it.
    await removeTree(place);
    if (aside !== undefined) moveUnlessGone(aside, place);
    this.#setTime(parent, mtime);
    closeSync(parent);
  }

  async #sendHome(
    held: number,
    home: { readonly path: string; readonly note: string },
  ): Promise<void> {
    const stat = fstatSync(held);
    if (stat.nlink === 0) {
      // A mount point cannot be removed, only emptied.
      await removeTree(home.path);
      mkdirSync(home.path);
      chownSync(home.path, stat.uid, stat.gid);
      chmodSync(home.path, stat.mode & 0o7777);
    } else await this.#move(readlinkSync(`/proc/self/fd/${String(held)}`), home.path);
    unlinkSync(home.note);
  }

  /** A copy is made beside the place, which what is there leaves only then. */
  async #move(from: string, to: string): Promise<void> {
    try {
      renameSync(from, to);
    } catch (error) {
      if (errnoOf(error) !== "EXDEV") throw error;
      const draft = `${to}.${randomBytes(6).toString("hex")}`;
      await copyInto(this.#kernel, { from, to: draft });
      await removeTree(to);
      renameSync(draft, to);
    }
  }

  async #drop({ held, isSecret }: Substitute): Promise<void> {
    if (fstatSync(held).nlink === 0) return;
    const path = readlinkSync(`/proc/self/fd/${String(held)}`);
    // A second name that the step gave it is an empty file then.
    if (isSecret) truncateSync(path);
    await removeTree(path);
  }

  /** Of a descriptor without access: its own `.` is no link, which the call would not follow. */
  #setTime(directory: number, mtime: bigint): void {
    try {
      this.#kernel.utimens(inDirectory(directory, "."), { mtime });
    } catch (error) {
      // The step has removed the directory.
      if (syscallErrno(error) !== "ENOENT") throw error;
    }
  }
}

interface Making {
  readonly home: Substitute["home"];
  readonly isSecret: boolean;
  readonly make: (path: string) => void | Promise<void>;
}

function inDirectory(fd: number, name: string): string {
  return `/proc/self/fd/${String(fd)}/${name}`;
}

/** A step that removed the directory around a mount point removed the node below the mount with it. */
function moveUnlessGone(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

function mountFailed(target: string, error: unknown): Error {
  const errno = syscallErrno(error);
  return sandboxError("SANDBOX_MOUNT_FAILED", `place something at ${target}: ${errno ?? "?"}`, {
    hint: `look what the image has at ${target}: a directory above it may be a symlink to nowhere`,
    details: { operation: "replace", target, ...(errno === undefined ? {} : { errno }) },
    cause: error,
  });
}
