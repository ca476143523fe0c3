import { expect } from "vitest";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { StepLog, type BuildEnvironment } from "../../src/build/index.ts";
import type { FileFields } from "../../src/build/keys.ts";
import { canCountInPassing, executeCopy } from "../../src/build/ops/copy.ts";
import { executeMkdir } from "../../src/build/ops/mkdir.ts";
import type { OpRequest } from "../../src/build/ops/request.ts";
import { readFieldsOf } from "../../src/build/read-set.ts";
import type { LayersResult, VertexResult } from "../../src/build/result.ts";
import { openLocalCache } from "../../src/cache/index.ts";
import { type JobThread, systemClock } from "../../src/core/index.ts";
import {
  joinRootPath,
  type LayerEntryWithContent,
  type MergedTree,
  rootPath,
  rootPathToString,
} from "../../src/layer/index.ts";
import { openLocalImages } from "../../src/local/index.ts";
import type { CopyOp, MkdirOp } from "../../src/plan/index.ts";
import { openSnapshotter } from "../../src/snapshot/index.ts";
import { openStore } from "../../src/store/index.ts";
import { layerOf } from "./layer-source.ts";
import { noStatCache } from "./no-stat-cache.ts";
import { usualKind } from "./snapshot-kinds.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A node as one line: `file 644 0:0 @1000 content`, `symlink 777 0:0 @0 -> target`. Time in nanoseconds. */
export type Nodes = Record<string, string>;

/** What a test says of a COPY; everything else is as for a plain `COPY --from=stage`. */
export interface CopyRequest {
  readonly base?: LayersResult;
  /** What path sources are taken from; the empty root unless given. */
  readonly from?: VertexResult | MergedTree;
  readonly sources: readonly (string | { readonly name: string; readonly content: string })[];
  readonly destination: string;
  readonly chown?: string;
  readonly chmod?: string;
  readonly parents?: boolean;
  readonly exclude?: readonly string[];
  /** ADD: unpacks archives. */
  readonly unpack?: boolean;
}

export interface CopyHarness {
  readonly environment: BuildEnvironment;
  /** A stack of layers, bottom first; without any it is the empty root. */
  layers(...stack: readonly (readonly LayerEntryWithContent[])[]): Promise<LayersResult>;
  copy(request: CopyRequest): Promise<LayersResult>;
  /** The same of a layer that nobody reads. */
  copyAsTar(request: CopyRequest): Promise<LayersResult>;
  /** The same where nobody has counted the files before; undefined where that has to be done. What it counts is looked at. */
  copyCounting(request: CopyRequest): Promise<LayersResult | undefined>;
  workdir(path: string, options?: { base?: LayersResult; user?: string }): Promise<LayersResult>;
  tree(result: LayersResult): Promise<MergedTree>;
  /** The whole state; the root itself is left out. */
  nodes(result: LayersResult): Promise<Nodes>;
  /** Entries of the topmost layer, in tar order and by their tar names. */
  layer(result: LayersResult): Promise<Nodes>;
}

/** Runs COPY, ADD and WORKDIR on real snapshots without plan, keys and cache; everything goes away with the test. */
export async function openCopyHarness(
  options: {
    readonly signal?: AbortSignal;
    readonly implicitTime?: bigint;
    readonly thread?: JobThread | undefined;
    /** Where its root is to be made. */
    readonly folder?: string;
  } = {},
): Promise<CopyHarness> {
  const root = join(options.folder ?? (await temporaryFolder()), "root");
  const store = await openStore({ root });
  const folders = { directory: join(root, "snapshots"), tmpDir: store.tmpDir };
  const snapshots = await openSnapshotter({ ...folders, kind: usualKind });
  const notUsed = (): Promise<never> => Promise.reject(new Error("a copy needs none of this"));
  const environment: BuildEnvironment = {
    store,
    snapshots,
    images: openLocalImages({ store, snapshots, clock: systemClock }),
    cache: openLocalCache({ directory: root, tmpDir: store.tmpDir }),
    lastBuild: notUsed,
    statCache: noStatCache(),
    thread: options.thread,
    sandbox: notUsed,
    contexts: new Map(),
    fetchLayer: notUsed,
    steps: new StepLog({ listener: () => undefined, clock: systemClock }),
    clock: systemClock,
    implicitTime: options.implicitTime ?? 0n,
    hostname: "test",
    signal: options.signal ?? new AbortController().signal,
  };
  const empty: LayersResult = { type: "layers", diffIds: [], chainId: undefined, created: "" };
  const request = (base: LayersResult, others: readonly VertexResult[]): OpRequest => {
    return { environment, base, others, isUnread: false, step: environment.steps.start("step") };
  };
  const copyCounting = async (
    op: CopyOp,
    { base, input }: { readonly base: LayersResult; readonly input: VertexResult },
  ): Promise<LayersResult | undefined> => {
    const unread = { ...request(base, [input]), isUnread: true };
    if (!(await canCountInPassing(op, unread))) return undefined;
    let counted: FileFields | undefined;
    const tellCounted = (files: FileFields): void => void (counted = files);
    const result = await executeCopy(op, { ...unread, tellCounted });
    const [before] = await readFieldsOf({ op, index: 1, result: input, environment });
    expect([...(counted ?? [])]).toEqual([...(before ?? [])]);
    return result;
  };
  const tree = async (result: LayersResult): Promise<MergedTree> => snapshots.tree(result.chainId);
  return {
    environment,
    tree,
    layers: async (...stack) => {
      let result = empty;
      for (const entries of stack) {
        const { chainId, diffId } = await snapshots.apply(result.chainId, await layerOf(entries));
        result = { ...result, chainId, diffIds: [...result.diffIds, diffId] };
      }
      return result;
    },
    copy: async ({ base = empty, from = empty, ...wanted }) => {
      const input: VertexResult = "type" in from ? from : { type: "tree", tree: from };
      const op = copyOp(wanted);
      const result = await executeCopy(op, request(base, [input]));
      // A layer that is kept as a tar, where that goes, is the same to the byte.
      const unread = await executeCopy(op, { ...request(base, [input]), isUnread: true });
      expect(unread.diffIds).toEqual(result.diffIds);
      const counted = await copyCounting(op, { base, input });
      expect(counted?.diffIds ?? result.diffIds).toEqual(result.diffIds);
      return result;
    },
    copyAsTar: async ({ base = empty, from = empty, ...wanted }) => {
      const input: VertexResult = "type" in from ? from : { type: "tree", tree: from };
      return executeCopy(copyOp(wanted), { ...request(base, [input]), isUnread: true });
    },
    copyCounting: async ({ base = empty, from = empty, ...wanted }) => {
      const input: VertexResult = "type" in from ? from : { type: "tree", tree: from };
      return copyCounting(copyOp(wanted), { base, input });
    },
    workdir: async (path, { base = empty, user = "" } = {}) => {
      const op: MkdirOp = { type: "mkdir", path, user };
      return executeMkdir(op, request(base, []));
    },
    nodes: async (result) => nodesOf(await tree(result)),
    layer: async ({ chainId }) => {
      const nodes: Nodes = {};
      if (chainId === undefined) return nodes;
      for await (const entry of snapshots.diff(chainId)) {
        const content = entry.read?.() ?? (entry.open && (await buffer(entry.open())));
        nodes[rootPathToString(entry.path)] = lineOf(entry, entry.linkTarget ?? content);
      }
      return nodes;
    },
  };
}

function copyOp(wanted: Omit<CopyRequest, "base" | "from">): CopyOp {
  const { sources, destination, chown, chmod, unpack = false } = wanted;
  return {
    type: "copy",
    instruction: unpack ? "ADD" : "COPY",
    destination,
    ...(chown === undefined ? {} : { chown }),
    ...(chmod === undefined ? {} : { chmod }),
    link: false,
    parents: wanted.parents ?? false,
    exclude: wanted.exclude ?? [],
    sources: sources.map((source) =>
      typeof source === "string"
        ? { type: "path", input: 1, pattern: source, unpack, keepOwner: true, fromUrl: false }
        : { type: "inline", ...source },
    ),
  };
}

/** Everything in a tree but its root, by path. */
export async function nodesOf(tree: MergedTree): Promise<Nodes> {
  const nodes: Nodes = {};
  const firstNames = new Map<string, Buffer>();
  const visit = async (path: Buffer): Promise<void> => {
    const stat = await tree.lstat(path);
    if (stat === undefined) throw new Error(`${rootPathToString(path)} is listed but not there`);
    const first = stat.nlink > 1 ? firstNames.get(stat.inode) : undefined;
    if (first !== undefined) {
      nodes[rootPathToString(path)] = lineOf({ ...stat, type: "hardlink" }, first);
      return;
    }
    if (stat.type !== "directory") firstNames.set(stat.inode, path);
    const xattrs = await tree.xattrs(path);
    if (path.length > 0)
      nodes[rootPathToString(path)] = lineOf({ ...stat, xattrs }, await contentOf(tree, path));
    if (stat.type !== "directory") return;
    for (const name of await tree.readdir(path)) await visit(joinRootPath(path, name));
  };
  await visit(rootPath);
  return nodes;
}

async function contentOf(tree: MergedTree, path: Buffer): Promise<Buffer | undefined> {
  const type = (await tree.lstat(path))?.type;
  if (type === "symlink") return tree.readlink(path);
  if (type !== "file") return undefined;
  const opened = await tree.openFile(path);
  const content = buffer(createReadStream("", { fd: opened.fd, autoClose: false, start: 0 }));
  return content.finally(async () => opened.close());
}

function lineOf(
  node: Pick<LayerEntryWithContent, "mode" | "uid" | "gid" | "mtime" | "xattrs"> & {
    readonly type: string;
    readonly devMajor?: number | undefined;
    readonly devMinor?: number | undefined;
  },
  content: Buffer | undefined,
): string {
  const { type, mode, uid, gid, mtime, devMajor = 0, devMinor = 0 } = node;
  const words = [type, mode.toString(8), `${String(uid)}:${String(gid)}`, `@${String(mtime)}`];
  if (type.endsWith("-device")) words.push(`${String(devMajor)}:${String(devMinor)}`);
  if (type.endsWith("link")) words.push("->");
  if (content !== undefined && content.length > 0) words.push(rootPathToString(content));
  for (const [name, value] of node.xattrs ?? []) words.push(`[${name}=${value.toString("hex")}]`);
  return words.join(" ");
}
