import { constants, linkSync, readdirSync, unlinkSync } from "node:fs";
import { type FileStat, removeTree, type Syscalls } from "../core/index.ts";
import {
  makeFreeDirectory,
  removeOtherXattrs,
  setAttributes,
  setNewDirectoryAttributes,
  setNewFileAttributes,
} from "./attributes.ts";
import { isOpaque, isWhiteout, type LayerDirectory, locate, opaqueXattr } from "./disk.ts";
import { readXattrs, statOf } from "./disk.ts";
import type { LayerDisk, NewFile, SharedNode } from "./layer-disk.ts";
import type { Device, NodeAttributes } from "./types.ts";

/** Nodes lie on the disk as they look, marks in the form that overlayfs reads. */
export class DirectDisk implements LayerDisk {
  readonly isDirect = true;
  readonly kernel: Syscalls;
  readonly directory: LayerDirectory;
  /** Asking for it are two system calls. */
  #umask: number | undefined;
  #version: number | undefined = 0;

  constructor(kernel: Syscalls, directory: LayerDirectory) {
    this.kernel = kernel;
    this.directory = directory;
  }

  get version(): number | undefined {
    return this.#version;
  }

  openToOthers(): void {
    this.#version = undefined;
  }

  stat(absolute: Buffer): FileStat | undefined {
    return statOf(this.kernel, absolute);
  }

  isOpaque(absolute: Buffer): boolean {
    return isOpaque(this.kernel, absolute);
  }

  xattrs(absolute: Buffer): Map<string, Buffer> | undefined {
    return readXattrs(this.kernel, absolute);
  }

  eachName(absolute: Buffer, tell: (name: string, isWhiteout: boolean) => void): void {
    for (const entry of readdirSync(absolute, { encoding: "latin1", withFileTypes: true })) {
      if (!entry.isCharacterDevice()) {
        tell(entry.name, false);
        continue;
      }
      const stat = statOf(this.kernel, locate(absolute, Buffer.from(entry.name, "latin1")));
      tell(entry.name, stat !== undefined && isWhiteout(stat));
    }
  }

  setAttributes(
    absolute: Buffer,
    node: { readonly isSymlink: boolean; readonly attributes: Partial<NodeAttributes> },
  ): void {
    setAttributes(this.kernel, absolute, node);
  }

  setNewFileAttributes(absolute: Buffer, file: NewFile): void {
    this.#umask ??= process.umask();
    setNewFileAttributes(this.kernel, absolute, { ...file, umask: this.#umask });
  }

  makeDirectory(absolute: Buffer, directory: Omit<NewFile, "fd">): boolean {
    if (!makeFreeDirectory(absolute, directory.attributes.mode & 0o777)) return false;
    this.#umask ??= process.umask();
    setNewDirectoryAttributes(this.kernel, absolute, { ...directory, umask: this.#umask });
    return true;
  }

  removeOtherXattrs(absolute: Buffer, kept: ReadonlyMap<string, Buffer> | undefined): void {
    removeOtherXattrs(this.kernel, absolute, kept);
  }

  makeDevice(absolute: Buffer, { type, major, minor }: Device): void {
    const bits = type === "char-device" ? constants.S_IFCHR : constants.S_IFBLK;
    this.kernel.mknod(absolute, { mode: bits | 0o600, major, minor });
  }

  makeWhiteout(absolute: Buffer): void {
    this.kernel.mknod(absolute, { mode: constants.S_IFCHR, major: 0, minor: 0 });
  }

  makeOpaque(absolute: Buffer): void {
    this.kernel.lsetxattr(absolute, opaqueXattr, Buffer.from("y"));
    this.#changed();
  }

  share(absolute: Buffer, node: SharedNode): void {
    linkSync(node.absolute, absolute);
  }

  link(target: Buffer, absolute: Buffer): void {
    linkSync(target, absolute);
  }

  unlink(absolute: Buffer): void {
    unlinkSync(absolute);
  }

  async removeTree(absolute: Buffer): Promise<void> {
    try {
      await removeTree(absolute);
    } finally {
      this.#changed();
    }
  }

  #changed(): void {
    if (this.#version !== undefined) this.#version += 1;
  }
}
