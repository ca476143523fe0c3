import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  makeFolder,
  type ChainId,
  type Digest,
  digestHex,
  Digester,
  type DiffId,
  errnoOf,
  extendChain,
  isDiskFull,
  isTsbuildError,
  type JobThread,
  readBootId,
  removeTree,
  type RootfsMount,
} from "../core/index.ts";
import {
  type LayerEntryWithContent,
  layerTarChunks,
  readLayerTar,
  tellEntry,
} from "../layer/index.ts";
import { applyLayer } from "./apply-layer.ts";
import { snapshotError } from "./errors.ts";
import type { Draft, Form } from "./form.ts";
import {
  areFilesExact,
  distrustUnpacked,
  filesIn,
  type KeptForm,
  keepUnpacked,
  keptFormOf,
  linkTar,
  markUnpacked,
  tarIn,
} from "./kept-tar.ts";
import { digestEntries } from "./digest-entries.ts";
import type { LoggedLayer } from "./layer-log.ts";
import { markDurable, markLost, type Metadata, readMetadata, writeMetadata } from "./metadata.ts";
import type { StackTree } from "./stack-tree.ts";
import { readTarFile } from "./tar-file.ts";
import { TarWriter } from "./tar-writer.ts";
import type {
  ActiveSnapshot,
  CommitOptions,
  LayerSource,
  PrepareOptions,
  Snapshot,
  Snapshotter,
  TreeWriter,
} from "./types.ts";

/** What a commit knows about a layer beside its files. */
interface LayerFacts {
  readonly diffId: DiffId;
  readonly tarSize: number;
  readonly contentSize: number;
  readonly created: Date;
  readonly reproducible: boolean;
}

/** Runs `work` while nobody else, here or in another process, holds the lock of that name. */
export type WithLock = (name: string, work: () => Promise<void>) => Promise<void>;

interface Active extends ActiveSnapshot {
  readonly draft: Draft;
  readonly writers: readonly TreeWriter[];
  /** Writes the layer's tar instead of files, as long as it can. */
  readonly tarWriter: TarWriter | undefined;
  /** Removed as a whole; absent when the folder is somebody else's. */
  readonly folder: string | undefined;
}

/**
 * Snapshots on a filesystem, whatever their form:
 *
 * ```
 * <directory>/<24 hex of the chainId>/fs         the files; never changed again
 *                                    /layer.tar  instead of them, until somebody needs files: see `keptFormOf`
 *                                    /meta.json  Snapshot; `unsynced.json` until `makeDurable`
 *                                    /notes      see `notesOf`
 * <tmpDir>/snapshot-<random>/{fs,work}           while it is active
 * ```
 */
export class DirectorySnapshotter implements Snapshotter {
  readonly kind: Snapshotter["kind"];
  readonly #form: Form;
  readonly #directory: string;
  readonly #tmpDir: string;
  /** Committed snapshots never change; gc keeps away while they are in use. */
  readonly #known = new Map<ChainId, Snapshot>();
  /** Those of them that a power cut would take. */
  readonly #unsynced = new Set<ChainId>();
  /** Those whose files were made of a tar that is there still. */
  readonly #unpacked = new Set<ChainId>();
  /** Those whose files are known to be there. */
  readonly #haveFiles = new Set<ChainId>();
  readonly #unpacking = new Map<ChainId, Promise<void>>();
  readonly #withLock: WithLock;
  readonly #openThread: () => JobThread | undefined;
  readonly #signal: AbortSignal | undefined;
  #bootId: string | undefined;
  readonly #trees = new Map<ChainId, StackTree>();
  readonly #actives = new WeakMap<ActiveSnapshot, Active>();

  constructor(options: {
    readonly form: Form;
    readonly directory: string;
    readonly tmpDir: string;
    readonly bootId?: string | undefined;
    readonly withLock?: WithLock | undefined;
    readonly openThread?: (() => JobThread | undefined) | undefined;
    readonly signal?: AbortSignal | undefined;
  }) {
    this.#form = options.form;
    this.#openThread = options.openThread ?? (() => undefined);
    this.#signal = options.signal;
    this.#withLock = options.withLock ?? (async (_name, work) => work());
    this.#bootId = options.bootId;
    this.kind = options.form.kind;
    this.#directory = options.directory;
    this.#tmpDir = options.tmpDir;
  }

  async prepare(
    parent: ChainId | undefined,
    options: PrepareOptions = {},
  ): Promise<ActiveSnapshot> {
    const parents = await this.#directories(parent);
    const lower = await this.tree(parent);
    const folder = options.directory ?? this.#temporary();
    const directory = join(folder, "fs");
    makeFolder(directory);
    const disk = this.#form.newDisk(directory);
    const isOurs = options.directory === undefined;
    const log = isOurs ? this.#form.openLog(disk) : undefined;
    const draft = { disk, work: join(folder, "work"), parents, lower, log };
    const isTar = options.asTar === true && log !== undefined;
    const active = this.#activate({ draft, parent, folder, isOurs, isTar });
    try {
      await this.#form.begin(draft);
    } catch (error) {
      await this.abandon(active);
      throw error;
    }
    return active;
  }

  async commit(active: ActiveSnapshot, options: CommitOptions = {}): Promise<Snapshot> {
    const { draft, tarWriter } = this.#activeOf(active);
    const created = options.created ?? new Date();
    const tar = tarWriter?.result;
    if (tar !== undefined) return this.#keepTar(active, { ...tar, created, reproducible: true });
    await this.#form.endMounts(draft);
    const layer = draft.log?.result() ?? (await this.#digest(draft, options.signal));
    return this.#keep(active, { ...layer, created, reproducible: true });
  }

  async abandon(active: ActiveSnapshot): Promise<void> {
    const { draft, folder, writers } = this.#activeOf(active);
    for (const writer of writers) await writer.stop();
    await this.#form.dropMounts(draft);
    if (folder !== undefined) return removeTree(folder);
    await removeTree(draft.disk.directory);
    await removeTree(draft.work);
  }

  async stat(chainId: ChainId): Promise<Snapshot | undefined> {
    const snapshot = this.#read(chainId);
    let parent = snapshot?.parent;
    while (parent !== undefined) {
      const below = this.#read(parent);
      if (below === undefined) return undefined;
      parent = below.parent;
    }
    return snapshot;
  }

  isOfOtherKind(chainId: ChainId): boolean {
    const name = this.#nameOf(chainId, this.kind === "overlayfs" ? "copy" : "overlayfs");
    return this.#readFolder(name)?.snapshot.chainId === chainId;
  }

  async chain(chainId: ChainId): Promise<readonly Snapshot[]> {
    const stack: Snapshot[] = [];
    for (let next: ChainId | undefined = chainId; next !== undefined;) {
      const snapshot: Snapshot | undefined = this.#read(next);
      if (snapshot === undefined) throw notFound(next);
      stack.push(snapshot);
      next = snapshot.parent;
    }
    return stack.reverse();
  }

  notesOf(chainId: ChainId): string {
    return join(this.#pathOf(chainId), "notes");
  }

  async tree(chainId: ChainId | undefined): Promise<StackTree> {
    if (chainId === undefined) return this.#form.tree([]);
    let tree = this.#trees.get(chainId);
    if (tree === undefined) {
      tree = this.#form.tree(await this.#directories(chainId));
      this.#trees.set(chainId, tree);
    }
    return tree;
  }

  async view(chainId: ChainId | undefined): Promise<RootfsMount> {
    return this.#form.mountView(await this.#directories(chainId));
  }

  async apply(
    parent: ChainId | undefined,
    layer: LayerSource,
    { thread }: { readonly thread?: JobThread | undefined } = {},
  ): Promise<Snapshot> {
    const active = await this.prepare(parent);
    // The layer says itself what its tar is: a quarter of the work was to find it out once more.
    this.#activeOf(active).draft.log?.close();
    try {
      const place = {
        tree: active.tree,
        writer: active.openWriter({ thread, tellFile: tellEntry }),
      };
      const contentSize = await applyLayer(place, layer.entries);
      const { diffId, tarSize } = await layer.finish();
      const created = layer.created ?? new Date();
      return await this.#keep(active, {
        diffId,
        tarSize,
        contentSize,
        created,
        reproducible: false,
      });
    } catch (error) {
      await this.abandon(active);
      throw error;
    }
  }

  async restack(parent: ChainId | undefined, layer: ChainId): Promise<Snapshot> {
    const source = this.#read(layer);
    if (source === undefined) throw notFound(layer);
    if (source.parent !== undefined) throw new Error(`layer ${layer} was made on another one`);
    if (parent === undefined) return source;
    const known = await this.stat(extendChain(parent, source.diffId));
    if (known !== undefined) return known;
    const created = new Date(source.created);
    if (this.#formOf(layer) === "tar") return this.#restackTar(parent, source);
    const active = await this.prepare(parent);
    try {
      const place = { tree: active.tree, writer: active.openWriter() };
      const sharedFrom = Buffer.from(filesIn(this.#pathOf(layer)));
      await applyLayer({ ...place, sharedFrom }, this.diff(layer));
      return await this.#keep(active, { ...source, created });
    } catch (error) {
      await this.abandon(active);
      throw error;
    }
  }

  async *diff(chainId: ChainId): AsyncGenerator<LayerEntryWithContent, void, undefined> {
    const snapshot = this.#read(chainId);
    if (snapshot === undefined) throw notFound(chainId);
    const tar = this.openTar(chainId);
    if (tar !== undefined) yield* readLayerTar(tar, { isOurs: true });
    else yield* this.#entriesOf(snapshot);
  }

  openTar(
    chainId: ChainId,
    options: { readonly isPassing?: boolean | undefined } = {},
  ): AsyncIterable<Uint8Array> | undefined {
    const snapshot = this.#read(chainId);
    if (snapshot === undefined || this.#formOf(chainId) === "files") return undefined;
    return this.#readTar(snapshot, options);
  }

  async *#readTar(
    snapshot: Snapshot,
    options: { readonly isPassing?: boolean | undefined },
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readTarFile(tarIn(this.#pathOf(snapshot.chainId)), options);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      // Before it was opened, another process has made its files, and a sync came after them.
      yield* layerTarChunks(this.#entriesOf(snapshot));
    }
  }

  async *#entriesOf({
    chainId,
    parent,
  }: Snapshot): AsyncGenerator<LayerEntryWithContent, void, undefined> {
    const disk = this.#form.keptDisk(filesIn(this.#pathOf(chainId)));
    yield* this.#form.entries({ disk, lower: await this.tree(parent) });
  }

  spaceOf({ chainId, tarSize, contentSize }: Snapshot): number {
    const form = this.#formOf(chainId);
    if (form === "tar") return tarSize;
    return form === "both" ? tarSize + contentSize : contentSize;
  }

  async *list(): AsyncGenerator<Snapshot, void, undefined> {
    for (const name of await readdir(this.#directory)) {
      const snapshot = this.#readFolder(name)?.snapshot;
      if (snapshot !== undefined && this.#nameOf(snapshot.chainId) === name) yield snapshot;
    }
  }

  async isIntact(chainId: ChainId, layer?: LayerSource): Promise<boolean | undefined> {
    const snapshot = this.#read(chainId);
    if (snapshot === undefined) throw notFound(chainId);
    const form = this.#formOf(chainId);
    if (form !== "files") {
      if ((await digestOf(this.#readTar(snapshot, { isPassing: true }))) !== snapshot.diffId)
        return false;
      if (form !== "both" || !areFilesExact(this.#pathOf(chainId))) return true;
      return (await hashTar(this.#entriesOf(snapshot))) === snapshot.diffId;
    }
    if (snapshot.reproducible) return (await hashTar(this.diff(chainId))) === snapshot.diffId;
    if (layer === undefined) return undefined;
    const active = await this.prepare(snapshot.parent);
    try {
      await applyLayer({ tree: active.tree, writer: active.openWriter() }, layer.entries);
      await layer.finish();
      const { draft } = this.#activeOf(active);
      return (await hashTar(this.diff(chainId))) === (await hashTar(this.#form.entries(draft)));
    } finally {
      await this.abandon(active);
    }
  }

  async makeDurable(sync: () => Promise<void>): Promise<void> {
    const chains = [...this.#unsynced];
    const unpacked = [...this.#unpacked];
    if (chains.length === 0 && unpacked.length === 0) return;
    try {
      await sync();
    } catch (error) {
      this.distrustUnsynced();
      throw error;
    }
    for (const chainId of chains) {
      markDurable(this.#pathOf(chainId));
      this.#unsynced.delete(chainId);
    }
    for (const chainId of unpacked) {
      keepUnpacked(this.#pathOf(chainId));
      this.#unpacked.delete(chainId);
    }
  }

  distrustUnsynced(): void {
    for (const chainId of this.#unsynced) {
      markLost(this.#pathOf(chainId));
      this.#known.delete(chainId);
    }
    this.#unsynced.clear();
    for (const chainId of this.#unpacked) {
      distrustUnpacked(this.#pathOf(chainId));
      this.#trees.delete(chainId);
      this.#haveFiles.delete(chainId);
    }
    this.#unpacked.clear();
  }

  async sweep(): Promise<number> {
    let removed = 0;
    for (const name of await readdir(this.#directory)) {
      if (!this.#isOurName(name) || this.#readFolder(name) !== undefined) continue;
      await this.#removeFolder(name);
      removed += 1;
    }
    return removed;
  }

  async remove(chainId: ChainId): Promise<void> {
    this.#known.delete(chainId);
    this.#trees.delete(chainId);
    this.#unsynced.delete(chainId);
    this.#unpacked.delete(chainId);
    this.#haveFiles.delete(chainId);
    await this.#removeFolder(this.#nameOf(chainId));
  }

  async #removeFolder(name: string): Promise<void> {
    // One rename, so that nobody ever sees half a snapshot.
    const trash = this.#temporary();
    try {
      await rename(join(this.#directory, name), trash);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return;
      throw error;
    }
    await removeTree(trash);
  }

  #activate(made: {
    readonly draft: Draft;
    readonly parent: ChainId | undefined;
    readonly folder: string;
    readonly isOurs: boolean;
    readonly isTar: boolean;
  }): ActiveSnapshot {
    const { draft, parent, folder } = made;
    const form = this.#form;
    const tree = form.liveTree(draft);
    const writers: TreeWriter[] = [];
    let tarWriter: TarWriter | undefined;
    const expectFiles = (): void => {
      if (made.isTar) throw new Error("this layer is kept as a tar, if that goes");
    };
    const active: Active = {
      key: folder,
      parent,
      // Who knows the directory, or has it mounted, may write to it: then only a walk tells what is there.
      get directory() {
        expectFiles();
        draft.log?.close();
        draft.disk.openToOthers();
        return draft.disk.directory.toString();
      },
      tree,
      showsSkeleton: (path) => tree.showsBelow(path),
      mount: async (options = {}) => {
        expectFiles();
        draft.log?.close();
        draft.disk.openToOthers();
        return form.mountDraft(draft, options.skeleton ?? []);
      },
      unmount: async () => form.endMounts(draft),
      openWriter: (options) => {
        if (writers.length > 0) expectFiles();
        if (writers.length > 0) draft.log?.close();
        const openFiles = (): TreeWriter => form.openWriter(draft, options);
        if (made.isTar)
          tarWriter = new TarWriter({ lower: draft.lower, tar: tarIn(folder), openFiles }, options);
        const writer = tarWriter ?? openFiles();
        writers.push(writer);
        return writer;
      },
      get tarWriter() {
        return tarWriter;
      },
      draft,
      writers,
      folder: made.isOurs ? folder : undefined,
    };
    this.#actives.set(active, active);
    return active;
  }

  #activeOf(active: ActiveSnapshot): Active {
    const known = this.#actives.get(active);
    if (known === undefined) throw new Error("this active snapshot is another snapshotter's");
    return known;
  }

  async #digest(draft: Draft, signal: AbortSignal | undefined): Promise<LoggedLayer> {
    const entries = () => this.#form.entries(draft);
    return digestEntries({ entries, openThread: this.#openThread, signal });
  }

  /** Gives an active snapshot its final name. Another process that was first with the same chain wins. */
  async #keep(active: ActiveSnapshot, facts: LayerFacts): Promise<Snapshot> {
    const snapshot = snapshotOf(active.parent, facts);
    const staged = this.#stage(snapshot);
    const { draft } = this.#activeOf(active);
    this.#form.writeBeside(draft, staged);
    draft.disk.openToOthers();
    renameSync(draft.disk.directory, filesIn(staged));
    const published = await this.#publish(staged, snapshot);
    await this.#form.kept(draft, filesIn(this.#pathOf(snapshot.chainId)));
    await this.abandon(active);
    return published;
  }

  /** The same of one that is a tar. */
  async #keepTar(active: ActiveSnapshot, facts: LayerFacts): Promise<Snapshot> {
    const snapshot = snapshotOf(active.parent, facts);
    const staged = this.#stage(snapshot);
    renameSync(tarIn(active.key), tarIn(staged));
    const published = await this.#publish(staged, snapshot);
    await this.abandon(active);
    return published;
  }

  /** `layer`, which is kept as a tar, on `parent`. */
  async #restackTar(parent: ChainId, layer: Snapshot): Promise<Snapshot> {
    if ((await this.stat(parent)) === undefined) throw notFound(parent);
    const snapshot = snapshotOf(parent, { ...layer, created: new Date(layer.created) });
    const staged = this.#stage(snapshot);
    linkTar(tarIn(this.#pathOf(layer.chainId)), tarIn(staged));
    return this.#publish(staged, snapshot);
  }

  /** A folder that is going to be the snapshot. */
  #stage(snapshot: Snapshot): string {
    const staged = this.#temporary();
    // At once: each way through the thread pool takes longer than the call, and a build waits for the five of a step.
    mkdirSync(staged);
    writeMetadata(staged, { snapshot, bootId: this.#boot() });
    return staged;
  }

  /** Makes the files of a layer that is kept as a tar, once. */
  async #unpack(snapshot: Snapshot): Promise<void> {
    const { chainId } = snapshot;
    const known = this.#unpacking.get(chainId);
    if (known !== undefined) return known;
    const work = this.#withLock(`files of ${chainId}`, async () => {
      // Another process may have been faster.
      if (this.#formOf(chainId) === "tar") await this.#unpackTar(snapshot);
    }).finally(() => this.#unpacking.delete(chainId));
    this.#unpacking.set(chainId, work);
    return work;
  }

  async #unpackTar(snapshot: Snapshot): Promise<void> {
    try {
      await this.#makeFiles(snapshot);
    } catch (error) {
      if (this.#signal?.aborted === true || isDiskFull(error)) throw error;
      // What fails first in a damaged tar says little about it.
      await expectIntact(tarIn(this.#pathOf(snapshot.chainId)), snapshot).catch(async (told) => {
        // It is no layer: what made it runs again, and finds nothing of that name in its way.
        if (isTsbuildError(told, "SNAPSHOT_DAMAGED")) await this.remove(snapshot.chainId);
        throw told;
      });
      throw error;
    }
  }

  async #makeFiles(snapshot: Snapshot): Promise<void> {
    const { chainId, diffId, parent } = snapshot;
    const folder = this.#pathOf(chainId);
    const active = await this.prepare(parent);
    const staged = this.#temporary();
    const thread = this.#openThread();
    try {
      const { draft } = this.#activeOf(active);
      const place = { tree: active.tree, writer: active.openWriter({ thread }) };
      const tar = readTarFile(tarIn(folder), { signal: this.#signal });
      await applyLayer(place, readLayerTar(tar, { isOurs: true }));
      const made = draft.log?.result() ?? (await this.#digest(draft, this.#signal));
      const isExact = made.diffId === diffId;
      if (!isExact) await expectIntact(tarIn(folder), snapshot);
      mkdirSync(staged);
      this.#form.writeBeside(draft, staged);
      // The lock is ours: what lies there is what a power cut left of an earlier attempt.
      renameIfThere(filesIn(folder), join(staged, "old"));
      for (const name of readdirSync(staged))
        if (name !== "old") renameSync(join(staged, name), join(folder, name));
      markUnpacked(folder, { bootId: this.#boot(), isExact });
      draft.disk.openToOthers();
      renameSync(draft.disk.directory, filesIn(folder));
      await this.#form.kept(draft, filesIn(folder));
    } finally {
      await this.abandon(active);
      await thread?.close();
      await removeTree(staged);
    }
  }

  #formOf(chainId: ChainId): KeptForm | undefined {
    return keptFormOf(this.#pathOf(chainId), () => this.#boot());
  }

  async #publish(staged: string, snapshot: Snapshot): Promise<Snapshot> {
    const path = this.#pathOf(snapshot.chainId);
    for (;;) {
      try {
        renameSync(staged, path);
        this.#known.set(snapshot.chainId, snapshot);
        this.#unsynced.add(snapshot.chainId);
        return snapshot;
      } catch (error) {
        if (errnoOf(error) !== "ENOTEMPTY" && errnoOf(error) !== "EEXIST") throw error;
      }
      const winner = this.#read(snapshot.chainId);
      if (winner !== undefined) {
        await removeTree(staged);
        return winner;
      }
      // What is there has no metadata to speak of: left by a power cut.
      await this.remove(snapshot.chainId);
    }
  }

  #read(chainId: ChainId): Snapshot | undefined {
    const known = this.#known.get(chainId);
    if (known !== undefined) return known;
    const found = this.#readFolder(this.#nameOf(chainId));
    if (found?.snapshot.chainId !== chainId) return undefined;
    const form = this.#formOf(chainId);
    // Without its files, by whatever hand, it is no snapshot: what made it is to run again.
    if (form === undefined) return undefined;
    if (form === "both") this.#unpacked.add(chainId);
    this.#known.set(chainId, found.snapshot);
    if (!found.isDurable) this.#unsynced.add(chainId);
    return found.snapshot;
  }

  #readFolder(name: string): Metadata | undefined {
    return readMetadata(join(this.#directory, name), () => this.#boot());
  }

  #boot(): string {
    return (this.#bootId ??= readBootId());
  }

  /** Of files, which are made where there is only a tar. Topmost first. */
  async #directories(chainId: ChainId | undefined): Promise<string[]> {
    if (chainId === undefined) return [];
    const stack = await this.chain(chainId);
    for (const snapshot of stack) {
      if (this.#haveFiles.has(snapshot.chainId)) continue;
      if (this.#formOf(snapshot.chainId) === "tar") await this.#unpack(snapshot);
      // Whoever made the files: the next sync here comes after them.
      if (this.#formOf(snapshot.chainId) === "both") this.#unpacked.add(snapshot.chainId);
      this.#haveFiles.add(snapshot.chainId);
    }
    return stack.map((snapshot) => filesIn(this.#pathOf(snapshot.chainId))).reverse();
  }

  #pathOf(chainId: ChainId): string {
    return join(this.#directory, this.#nameOf(chainId));
  }

  /** Short, since hundreds of these paths have to fit into the options of one mount. */
  #nameOf(chainId: ChainId, kind = this.kind): string {
    const short = digestHex(chainId).slice(0, 24);
    return kind === "overlayfs" ? short : `${short}-files`;
  }

  /** Snapshots of the other kind lie here as well. */
  #isOurName(name: string): boolean {
    return (this.kind === "overlayfs" ? /^[0-9a-f]{24}$/ : /^[0-9a-f]{24}-files$/).test(name);
  }

  #temporary(): string {
    return join(this.#tmpDir, `snapshot-${randomBytes(8).toString("hex")}`);
  }
}

type Entries = AsyncIterable<LayerEntryWithContent> | Iterable<LayerEntryWithContent>;

async function hashTar(entries: Entries): Promise<Digest> {
  return digestOf(layerTarChunks(entries, { isPassing: true }));
}

async function digestOf(chunks: AsyncIterable<Uint8Array>): Promise<Digest> {
  const digester = new Digester();
  for await (const chunk of chunks) digester.update(chunk);
  return digester.digest();
}

/** @throws SNAPSHOT_DAMAGED */
async function expectIntact(tar: string, { diffId }: Snapshot): Promise<void> {
  const found = await digestOf(readTarFile(tar, { isPassing: true }));
  if (found === diffId) return;
  throw snapshotError("SNAPSHOT_DAMAGED", `make the files of layer ${diffId}: its tar is damaged`, {
    hint: "it was removed: build the image again, which makes it anew",
    details: { expected: diffId, found },
  });
}

function snapshotOf(parent: ChainId | undefined, facts: LayerFacts): Snapshot {
  const { diffId, tarSize, contentSize, created, reproducible } = facts;
  return {
    ...{ chainId: extendChain(parent, diffId), diffId, parent, tarSize, contentSize },
    ...{ created: created.toISOString(), reproducible },
  };
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

function notFound(chainId: ChainId): Error {
  return snapshotError("SNAPSHOT_NOT_FOUND", `use snapshot ${chainId}: it is not here`, {
    hint: "its image was removed meanwhile; build or pull it again",
    details: { chainId },
  });
}
