import { chmodSync, closeSync, constants, linkSync, readdirSync, unlinkSync } from "node:fs";
import { type FileStat, removeTree, syscallErrno, type Syscalls } from "../core/index.ts";
import type { Abilities } from "./abilities.ts";
import { makeFreeDirectory, removeOtherXattrs, setXattr } from "./attributes.ts";
import {
  isDirectory,
  isFile,
  isPortableXattr,
  isSymlink,
  type LayerDirectory,
  readXattrs,
  statOf,
} from "./disk.ts";
import type { LayerDisk, SharedNode } from "./layer-disk.ts";
import { applyLooks, type Looks, plainLooks, withoutCapability } from "./looks.ts";
import type { LooksBook } from "./looks-book.ts";
import type { Device, NodeAttributes } from "./types.ts";
import { createFile } from "./write-content.ts";

interface Owner {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/**
 * Nodes that look on the disk as well as they can. What the place or the kernel refuses is in a book beside them: owners,
 * setuid bits and modes that would shut us out, xattrs, device nodes, and the marks that hide lower layers. In place of
 * a device or a whiteout lies an empty file, so that every name of the layer is a name on the disk.
 */
export class SidecarDisk implements LayerDisk {
  readonly isDirect = false;
  readonly kernel: Syscalls;
  readonly directory: LayerDirectory;
  readonly #abilities: Abilities;
  readonly #open: () => LooksBook;
  #book: LooksBook | undefined;
  #version: number | undefined = 0;

  /** `book` is called when the first node is looked at. */
  constructor(place: {
    readonly kernel: Syscalls;
    readonly directory: LayerDirectory;
    readonly abilities: Abilities;
    readonly book: () => LooksBook;
  }) {
    this.kernel = place.kernel;
    this.directory = place.directory;
    this.#abilities = place.abilities;
    this.#open = place.book;
  }

  get version(): number | undefined {
    return this.#version;
  }

  openToOthers(): void {
    this.#version = undefined;
  }

  get book(): LooksBook {
    return (this.#book ??= this.#open());
  }

  stat(absolute: Buffer): FileStat | undefined {
    const stat = statOf(this.kernel, absolute);
    if (stat === undefined) return undefined;
    const looks = this.looksOf(absolute);
    const disguised = this.disguise(stat);
    return looks === undefined ? disguised : applyLooks(disguised, looks);
  }

  /** Whose a node without looks is: to anybody but root, his own nodes stand for root's. */
  disguise(stat: FileStat): FileStat {
    return this.book.hasOwnersOnDisk ? stat : { ...stat, uid: 0, gid: 0 };
  }

  isOpaque(absolute: Buffer): boolean {
    return this.looksOf(absolute)?.isOpaque === true;
  }

  xattrs(absolute: Buffer): Map<string, Buffer> | undefined {
    const looks = this.looksOf(absolute);
    const onDisk = looks?.standsFor === undefined ? readXattrs(this.kernel, absolute) : undefined;
    if (looks?.xattrs === undefined) return onDisk;
    const all = [...(onDisk ?? []), ...looks.xattrs];
    return new Map(all.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  eachName(absolute: Buffer, tell: (name: string, isWhiteout: boolean) => void): void {
    const { book } = this;
    const path = this.#pathOf(absolute);
    const parent = path === "" ? "" : `${path}/`;
    for (const name of readdirSync(absolute, { encoding: "latin1" })) {
      const looks = book.size === 0 ? undefined : book.get(parent + name);
      tell(name, looks?.standsFor?.type === "whiteout");
    }
  }

  setAttributes(
    absolute: Buffer,
    node: { readonly isSymlink: boolean; readonly attributes: Partial<NodeAttributes> },
  ): void {
    const { mode, uid, gid, mtime, xattrs } = node.attributes;
    let looks = this.looksOf(absolute) ?? plainLooks;
    if (uid !== undefined || gid !== undefined)
      looks = this.#withOwner(absolute, this.#given(absolute, looks), { uid, gid });
    if (mode !== undefined && !node.isSymlink) looks = this.#withMode(absolute, looks, mode);
    if (xattrs !== undefined && xattrs.size > 0) looks = this.#withXattrs(absolute, looks, xattrs);
    if (mtime !== undefined) this.kernel.utimens(absolute, { mtime });
    this.book.set(this.#pathOf(absolute), looks);
  }

  setNewFileAttributes(
    absolute: Buffer,
    file: { readonly attributes: NodeAttributes; readonly mayGiveGroup: boolean },
  ): void {
    const { attributes, mayGiveGroup } = file;
    if (!this.#isMadeAlready(attributes, mayGiveGroup))
      return this.setAttributes(absolute, { isSymlink: false, attributes });
    this.kernel.utimens(absolute, { mtime: attributes.mtime });
  }

  makeDirectory(
    absolute: Buffer,
    { attributes }: { readonly attributes: NodeAttributes },
  ): boolean {
    // What it is to hold has to go in whatever its mode says.
    if (!makeFreeDirectory(absolute, 0o700)) return false;
    const { mtime: _later, ...looks } = attributes;
    this.setAttributes(absolute, { isSymlink: false, attributes: looks });
    return true;
  }

  removeOtherXattrs(absolute: Buffer, kept: ReadonlyMap<string, Buffer> | undefined): void {
    const looks = this.looksOf(absolute);
    if (looks?.standsFor === undefined) removeOtherXattrs(this.kernel, absolute, kept);
    if (looks?.xattrs === undefined) return;
    const xattrs = new Map([...looks.xattrs].filter(([name]) => kept?.has(name) === true));
    this.#note(absolute, { ...looks, xattrs: xattrs.size === 0 ? undefined : xattrs });
  }

  makeDevice(absolute: Buffer, device: Device): void {
    if (this.#abilities.givesOwners && this.#makeRealDevice(absolute, device)) return;
    this.#makeStandIn(absolute, device);
  }

  makeWhiteout(absolute: Buffer): void {
    this.#makeStandIn(absolute, { type: "whiteout" });
  }

  makeOpaque(absolute: Buffer): void {
    this.#note(absolute, { ...(this.looksOf(absolute) ?? plainLooks), isOpaque: true });
    this.#changed();
  }

  link(target: Buffer, absolute: Buffer): void {
    linkSync(target, absolute);
    this.book.link(this.#pathOf(target), this.#pathOf(absolute));
  }

  unlink(absolute: Buffer): void {
    unlinkSync(absolute);
    this.book.drop(this.#pathOf(absolute));
  }

  async removeTree(absolute: Buffer): Promise<void> {
    try {
      await removeTree(absolute);
    } finally {
      this.#changed();
    }
    this.book.dropTree(this.#pathOf(absolute));
  }

  share(absolute: Buffer, node: SharedNode): void {
    linkSync(node.absolute, absolute);
    this.#adopt(absolute, node);
  }

  /** Writes down how a node differs from what it is to look like, without changing it: it is another layer's as well. */
  #adopt(absolute: Buffer, { attributes, device }: SharedNode): void {
    const stat = statOf(this.kernel, absolute);
    if (stat === undefined) return;
    const isReal = !isFile(stat) || device === undefined;
    const onDisk = isReal
      ? (readXattrs(this.kernel, absolute) ?? new Map<string, Buffer>())
      : undefined;
    const missing = [...(attributes.xattrs ?? [])].filter(
      ([name, value]) => isPortableXattr(name) && onDisk?.get(name)?.equals(value) !== true,
    );
    const { uid, gid } = this.disguise(stat);
    const mode = isSymlink(stat) ? attributes.mode : stat.mode & 0o7777;
    this.#note(absolute, {
      standsFor: isReal ? undefined : device,
      mode: mode === attributes.mode ? undefined : attributes.mode,
      uid: uid === attributes.uid ? undefined : attributes.uid,
      gid: gid === attributes.gid ? undefined : attributes.gid,
      isOpaque: false,
      xattrs: missing.length === 0 ? undefined : new Map(missing),
    });
  }

  looksOf(absolute: Buffer): Looks | undefined {
    const { book } = this;
    return book.size === 0 ? undefined : book.get(this.#pathOf(absolute));
  }

  #changed(): void {
    if (this.#version !== undefined) this.#version += 1;
  }

  #note(absolute: Buffer, looks: Looks): void {
    this.book.set(this.#pathOf(absolute), looks);
  }

  #pathOf(absolute: Buffer): string {
    return absolute.toString("latin1", this.directory.length + 1);
  }

  /** Whether a file that was just made needs no more than its time. */
  #isMadeAlready({ mode, uid, gid, xattrs }: NodeAttributes, mayGiveGroup: boolean): boolean {
    const { givesOwners, ignoresModes, uid: ownUid, gid: ownGid } = this.#abilities;
    const isPlainMode = (mode & ~0o777) === 0 && (mode & process.umask()) === 0;
    if (!isPlainMode || (!ignoresModes && (mode & 0o600) !== 0o600)) return false;
    if (xattrs !== undefined && xattrs.size > 0) return false;
    if (!givesOwners) return uid === 0 && gid === 0;
    return uid === ownUid && gid === ownGid && !mayGiveGroup;
  }

  /** The kernel takes capabilities from a file that is given away, to whomever. */
  #given(absolute: Buffer, looks: Looks): Looks {
    if (looks.xattrs?.has("security.capability") !== true) return looks;
    if (isDirectory(statOf(this.kernel, absolute))) return looks;
    return { ...looks, xattrs: withoutCapability(looks.xattrs) };
  }

  #withOwner(absolute: Buffer, looks: Looks, { uid, gid }: Owner): Looks {
    const unchanged = 0xffff_ffff;
    if (!this.#abilities.givesOwners) {
      const [recorded, group] = [uid ?? looks.uid, gid ?? looks.gid];
      return {
        ...looks,
        uid: recorded === 0 ? undefined : recorded,
        gid: group === 0 ? undefined : group,
      };
    }
    const isGiven = isAllowed(() => {
      this.kernel.lchown(absolute, uid ?? unchanged, gid ?? unchanged);
    }, ownerRefusals);
    if (!isGiven) return { ...looks, uid: uid ?? looks.uid, gid: gid ?? looks.gid };
    return {
      ...looks,
      uid: uid === undefined ? looks.uid : undefined,
      gid: gid === undefined ? looks.gid : undefined,
    };
  }

  #withMode(absolute: Buffer, looks: Looks, mode: number): Looks {
    if (looks.standsFor !== undefined) return { ...looks, mode };
    const { givesOwners, ignoresModes } = this.#abilities;
    let onDisk = mode;
    // Bits that lend the owner's rights are not for an owner who is not the image's.
    const isOwned = givesOwners && (looks.uid ?? looks.gid) === undefined;
    if (!isOwned) onDisk &= ~0o6000;
    if (!ignoresModes && (onDisk & 0o700) !== 0o700)
      onDisk |= isDirectory(statOf(this.kernel, absolute)) ? 0o700 : 0o600;
    chmodSync(absolute, onDisk);
    // The kernel takes setgid away from who is not of the group, and says nothing.
    if ((onDisk & 0o6000) !== 0) onDisk = (statOf(this.kernel, absolute)?.mode ?? 0) & 0o7777;
    return { ...looks, mode: onDisk === mode ? undefined : mode };
  }

  /** As with every privilege, what no such node can have (`user.*` of a symlink or a device) is left out. */
  #withXattrs(absolute: Buffer, looks: Looks, xattrs: ReadonlyMap<string, Buffer>): Looks {
    const stat = statOf(this.kernel, absolute);
    const isPlace = looks.standsFor === undefined;
    const takesAll = isPlace && (isFile(stat) || isDirectory(stat));
    const refused = new Map(looks.xattrs);
    for (const [name, value] of xattrs) {
      if (!isPortableXattr(name) || (!takesAll && name.startsWith("user."))) continue;
      const isSet = isPlace && setXattr(this.kernel, absolute, { name, value }) === undefined;
      if (isSet) refused.delete(name);
      else if (!name.startsWith("system.")) refused.set(name, value);
    }
    return { ...looks, xattrs: refused.size === 0 ? undefined : refused };
  }

  #makeRealDevice(absolute: Buffer, { type, major, minor }: Device): boolean {
    const bits = type === "char-device" ? constants.S_IFCHR : constants.S_IFBLK;
    return isAllowed(() => {
      this.kernel.mknod(absolute, { mode: bits | 0o600, major, minor });
    });
  }

  #makeStandIn(absolute: Buffer, standsFor: NonNullable<Looks["standsFor"]>): void {
    closeSync(createFile(absolute, 0o600));
    this.#note(absolute, { ...plainLooks, standsFor });
  }
}

/** What the kernel and filesystems say to what is beyond our rights or their abilities. */
const refusals: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EOPNOTSUPP"]);

/** Owners beyond those of a user namespace are no ids at all there. */
const ownerRefusals: ReadonlySet<string> = new Set([...refusals, "EINVAL", "EOVERFLOW"]);

function isAllowed(call: () => void, refused: ReadonlySet<string> = refusals): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (refused.has(syscallErrno(error) ?? "")) return false;
    throw error;
  }
}
