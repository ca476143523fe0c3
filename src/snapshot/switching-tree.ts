import type { MergedTree, NodeStat, OpenedFile, RootPath } from "../layer/index.ts";

/** A tree that is in one place now and in another later. */
export class SwitchingTree implements MergedTree {
  readonly #now: () => MergedTree;

  constructor(now: () => MergedTree) {
    this.#now = now;
  }

  async lstat(path: RootPath): Promise<NodeStat | undefined> {
    return this.#now().lstat(path);
  }

  async readdir(path: RootPath): Promise<readonly Buffer[]> {
    return this.#now().readdir(path);
  }

  async readlink(path: RootPath): Promise<Buffer> {
    return this.#now().readlink(path);
  }

  async openFile(path: RootPath): Promise<OpenedFile> {
    return this.#now().openFile(path);
  }

  async xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>> {
    return this.#now().xattrs(path);
  }

  /** Where nothing is, mount points are made for the time of the mount. */
  showsBelow(): boolean {
    return true;
  }
}
