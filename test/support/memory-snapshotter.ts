import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { chainIdOf, type ChainId, diffId, digestOf, extendChain } from "../../src/core/index.ts";
import { type LayerEntryWithContent, toRootPath, writeLayerTar } from "../../src/layer/index.ts";
import type { LayerSource, Snapshot, Snapshotter } from "../../src/snapshot/index.ts";

interface Stored {
  readonly snapshot: Snapshot;
  readonly entries: readonly LayerEntryWithContent[];
}

/**
 * Layers of files without a filesystem: applies, streams out again (with our own tar encoding) and removes, as a real
 * snapshotter does. Nothing can be mounted or looked up.
 */
export class MemorySnapshotter implements Snapshotter {
  readonly kind = "copy";
  readonly #stored = new Map<ChainId, Stored>();
  /** How many layers were applied. */
  applied = 0;

  /** What a step commits: one layer with these files. */
  async commitFiles(
    parent: ChainId | undefined,
    files: Readonly<Record<string, string>>,
  ): Promise<Snapshot> {
    const entries = entriesOf(files);
    const tar = await buffer(writeLayerTar(Readable.from(entries)));
    const identity = { diffId: diffId(digestOf(tar)), tarSize: tar.length, reproducible: true };
    return this.#add(parent, entries, identity);
  }

  /** Changes the files of a snapshot behind everybody's back. */
  tamper(chainId: ChainId, files: Readonly<Record<string, string>>): void {
    const stored = this.#stored.get(chainId);
    if (stored !== undefined) this.#stored.set(chainId, { ...stored, entries: entriesOf(files) });
  }

  async apply(parent: ChainId | undefined, layer: LayerSource): Promise<Snapshot> {
    if (parent !== undefined && (await this.stat(parent)) === undefined)
      throw new Error("no parent");
    const entries: LayerEntryWithContent[] = [];
    for await (const entry of layer.entries) {
      const content = entry.open === undefined ? undefined : await buffer(entry.open());
      entries.push(
        content === undefined ? entry : { ...entry, open: () => Readable.from([content]) },
      );
    }
    const { diffId, tarSize } = await layer.finish();
    this.applied += 1;
    return this.#add(parent, entries, { diffId, tarSize, reproducible: false });
  }

  async stat(chainId: ChainId): Promise<Snapshot | undefined> {
    const { snapshot } = this.#stored.get(chainId) ?? {};
    if (snapshot?.parent === undefined) return snapshot;
    return (await this.stat(snapshot.parent)) === undefined ? undefined : snapshot;
  }

  spaceOf({ contentSize }: Snapshot): number {
    return contentSize;
  }

  isOfOtherKind(): boolean {
    return false;
  }

  async chain(chainId: ChainId): Promise<readonly Snapshot[]> {
    const snapshot = await this.stat(chainId);
    if (snapshot === undefined) throw new Error(`no snapshot ${chainId}`);
    return snapshot.parent === undefined
      ? [snapshot]
      : [...(await this.chain(snapshot.parent)), snapshot];
  }

  openTar(): undefined {
    return undefined;
  }

  async *diff(chainId: ChainId): AsyncGenerator<LayerEntryWithContent> {
    yield* this.#stored.get(chainId)?.entries ?? [];
  }

  async *list(): AsyncGenerator<Snapshot> {
    for (const { snapshot } of [...this.#stored.values()]) yield snapshot;
  }

  async remove(chainId: ChainId): Promise<void> {
    this.#stored.delete(chainId);
  }

  /** What no power cut takes because it was never on a disk. */
  async makeDurable(): Promise<void> {}

  distrustUnsynced(): void {}

  async sweep(): Promise<number> {
    return 0;
  }

  isIntact = unsupported;
  prepare = unsupported;
  commit = unsupported;
  abandon = unsupported;
  restack = unsupported;
  tree = unsupported;
  view = unsupported;

  notesOf(chainId: ChainId): string {
    throw new Error(`${chainId} is not on a disk`);
  }

  #add(
    parent: ChainId | undefined,
    entries: readonly LayerEntryWithContent[],
    identity: Pick<Snapshot, "diffId" | "tarSize" | "reproducible">,
  ): Snapshot {
    const chainId =
      parent === undefined ? chainIdOf([identity.diffId]) : extendChain(parent, identity.diffId);
    if (chainId === undefined) throw new Error("no layer");
    const contentSize = entries.reduce((sum, { size }) => sum + size, 0);
    const snapshot = {
      ...identity,
      chainId,
      parent,
      contentSize,
      created: "2026-01-02T03:04:05.000Z",
    };
    this.#stored.set(chainId, { snapshot, entries });
    return snapshot;
  }
}

function entriesOf(files: Readonly<Record<string, string>>): readonly LayerEntryWithContent[] {
  return Object.entries(files).map(([path, content]) => fileEntry(path, Buffer.from(content)));
}

/** A regular file of a layer. */
export function fileEntry(path: string, content: Buffer): LayerEntryWithContent {
  return {
    path: toRootPath(path),
    type: "file",
    ...{ mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: content.length },
    open: () => Readable.from([content]),
  };
}

async function unsupported(): Promise<never> {
  throw new Error("not in memory");
}
