import type { FileStat, Syscalls } from "../core/index.ts";
import type { LayerDirectory } from "./disk.ts";
import type { Device, NodeAttributes } from "./types.ts";

/** How the nodes of a layer look. */
export interface LayerView {
  readonly kernel: Syscalls;
  readonly directory: LayerDirectory;
  /**
   * Another number after every change that makes something else of a directory: its removal, a mark that it is opaque.
   * undefined where others may change the layer at any time, so that nothing about it can be remembered.
   */
  readonly version: number | undefined;
  /** The node as the image has it (`nodeStat`, `isWhiteout`); undefined when the layer has nothing there. */
  stat(absolute: Buffer): FileStat | undefined;
  /** Whether the directory hides everything below it in lower layers. */
  isOpaque(absolute: Buffer): boolean;
  /** The attributes that belong to the image; undefined when there are none, which is the common case. */
  xattrs(absolute: Buffer): Map<string, Buffer> | undefined;
}

/**
 * The one door to the nodes of a layer's directory: how they look, and how they are made to look so. `DirectDisk` takes
 * the disk at its word; `SidecarDisk` knows better where the disk could not hold what an image says.
 *
 * Nodes are named by their absolute path, as `locate(disk.directory, path)` gives it, whose parents are directories of the
 * layer or missing. Everything is synchronous, and nothing is allocated for a call: twenty thousand files come this way.
 * Names, links, contents and times are always the disk's own: for them the callers go to the kernel directly.
 */
export interface LayerDisk extends LayerView {
  /** Whether nodes look on the disk as they look in the image, so that other threads may read and make plain files. */
  readonly isDirect: boolean;

  /** From now on a process may write into the layer. */
  openToOthers(): void;
  /** Tells the names in a directory as Latin-1, in no order; a whiteout says that lower layers' node is gone. */
  eachName(absolute: Buffer, tell: (name: string, isWhiteout: boolean) => void): void;

  /** Changes what is given. */
  setAttributes(
    absolute: Buffer,
    node: { readonly isSymlink: boolean; readonly attributes: Partial<NodeAttributes> },
  ): void;
  /** The same for a file that was just made with the permissions of `mode` and has its content; `fd` is open. */
  setNewFileAttributes(absolute: Buffer, file: NewFile): void;
  /**
   * Makes a directory, whose time is to be set later; false when something has the name. Nothing in the directory that
   * it is in is handed on but its group.
   */
  makeDirectory(
    absolute: Buffer,
    directory: { readonly attributes: NodeAttributes; readonly mayGiveGroup: boolean },
  ): boolean;
  /** Takes away the image's attributes that `kept` does not have. */
  removeOtherXattrs(absolute: Buffer, kept: ReadonlyMap<string, Buffer> | undefined): void;
  /** Makes a device node; its attributes are to be set. @throws EEXIST when something has the name */
  makeDevice(absolute: Buffer, device: Device): void;
  /** @throws EEXIST when something has the name */
  makeWhiteout(absolute: Buffer): void;
  makeOpaque(absolute: Buffer): void;
  /** A second name for a node that is elsewhere, and looks as this says. @throws EEXIST when something has the name */
  share(absolute: Buffer, node: SharedNode): void;
  /** A second name for a node of this layer. @throws EEXIST when something has the name */
  link(target: Buffer, absolute: Buffer): void;
  /** Removes a node that is no directory. */
  unlink(absolute: Buffer): void;
  /** Removes a directory with everything below it. */
  removeTree(absolute: Buffer): Promise<void>;
}

export interface NewFile {
  readonly attributes: NodeAttributes;
  /** Whether the directory that it is in may have given it its own group. */
  readonly mayGiveGroup: boolean;
  readonly fd: number;
}

/** What is to be done to a file that was just made, beyond its time. */
export interface FilePlan {
  /** undefined for what it has already. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly mode: number | undefined;
}

/** A node of another layer, or of a tree that a process ran in. */
export interface SharedNode {
  readonly absolute: Buffer;
  readonly attributes: NodeAttributes;
  readonly device?: Device | undefined;
}
