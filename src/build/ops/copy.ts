import { fileChanged, PassingCount, selectSources } from "../../context/index.ts";
import {
  baseName,
  resolvePath,
  rootPath,
  toRootPath,
  type MergedTree,
  type RootPath,
} from "../../layer/index.ts";
import type { CopyOp, CopySource } from "../../plan/index.ts";
import { resolveOwner } from "../../sandbox/index.ts";
import { openTreeWriter, type ActiveSnapshot } from "../../snapshot/index.ts";
import { parseMode } from "../chmod.ts";
import { conflict, placeFile, type CopyTarget } from "../copy-target.ts";
import { copySource, copyWithParents } from "../copy-tree.ts";
import { EarlySync } from "../early-sync.ts";
import { FileFields } from "../keys.ts";
import { digestsOf, treeOf } from "../read-set.ts";
import type { LayersResult, VertexResult } from "../result.ts";
import { unpackArchive } from "../unpack-archive.ts";
import { makeLayer } from "./layer.ts";
import type { OpRequest } from "./request.ts";

type PathSource = Extract<CopySource, { type: "path" }>;

/**
 * COPY and ADD: writes straight into the new layer's directory, so the result already is the diff; nothing is mounted.
 * Paths of the destination are resolved inside the root, paths of a source inside its own tree.
 *
 * @throws BUILD_COPY_CONFLICT, BUILD_COPY_MODE_INVALID, BUILD_UNSUPPORTED, CONTEXT_SOURCE_NOT_FOUND
 */
export async function executeCopy(op: CopyOp, request: OpRequest): Promise<LayersResult> {
  const asTar = request.isUnread && (await isOneDirectory(op, request));
  const { tellCounted } = request;
  const work = async (active: ActiveSnapshot): Promise<void> => {
    const counting = tellCounted && (await openCount(op, request));
    const target = await openTarget(op, { request, active, count: counting?.count });
    // What is counted is just what is copied, whatever the pattern would select by now.
    if (counting !== undefined) await copySource(target, counting.directory);
    else
      for (const source of op.sources) {
        if (source.type === "path") await copyPaths(op, { source, target, request });
      }
    for (const source of op.sources) {
      if (source.type === "inline") await writeInline(source, target);
    }
    await target.writer.finish();
    target.sync.end();
    if (counting === undefined) return;
    tellCounted?.(new FileFields(0, counting.count.files));
    await counting.save();
  };
  return makeLayer(request, work, { asTar });
}

/** What of a request tells where the sources are; undefined stands for what nobody has asked for. */
interface Sources extends Pick<OpRequest, "environment"> {
  readonly base: VertexResult | undefined;
  readonly others: readonly (VertexResult | undefined)[];
}

/**
 * Whether the files of a COPY can be counted while they are copied, instead of before: it writes a tar, in one go, of what
 * one directory of a context or of a stage holds. @throws CONTEXT_SOURCE_NOT_FOUND, CONTEXT_UNREADABLE
 */
export async function canCountInPassing(
  op: CopyOp,
  request: Sources & Pick<OpRequest, "isUnread">,
): Promise<boolean> {
  const [source] = op.sources;
  if (!request.isUnread || op.exclude.length > 0 || source?.type !== "path") return false;
  const result = inputResult(source, request);
  if (result === undefined || (result.type === "tree" && result.digest !== undefined)) return false;
  const { local } = await treeOf(result, request.environment);
  return local !== undefined && (await isOneDirectory(op, request));
}

/** A count of the one directory that is copied. */
interface Counting {
  readonly directory: Directory;
  readonly count: PassingCount;
  /** Remembers the digests of files of a layer. Those of a context are remembered with the build's. */
  readonly save: () => Promise<void>;
}

async function openCount(op: CopyOp, request: Sources): Promise<Counting> {
  const { environment } = request;
  const [source] = op.sources;
  const directory = await oneDirectory(op, request);
  const result = source?.type === "path" ? inputResult(source, request) : undefined;
  // It was, before the copy had its turn.
  if (directory === undefined || result === undefined) throw fileChanged(patternOf(op));
  const statCache = await digestsOf(result, environment);
  const count = new PassingCount({ ...directory, statCache, signal: environment.signal });
  const save = async (): Promise<void> =>
    result.type === "layers" ? statCache?.save() : undefined;
  return { directory, count, save };
}

/**
 * Whether all that is copied is what one directory holds. Its layer can be kept as a tar: nothing is looked up that the
 * same copy has written before.
 */
async function isOneDirectory(op: CopyOp, request: Sources): Promise<boolean> {
  return (await oneDirectory(op, request)) !== undefined;
}

function patternOf({ sources: [source] }: CopyOp): string {
  return source?.type === "path" ? source.pattern : "";
}

interface Directory {
  readonly tree: MergedTree;
  readonly path: RootPath;
  /** Where it lies. */
  readonly root: RootPath;
}

async function oneDirectory(op: CopyOp, request: Sources): Promise<Directory | undefined> {
  const [source, ...others] = op.sources;
  if (source?.type !== "path" || others.length > 0 || op.parents) return undefined;
  const tree = await inputTree(source, request);
  const [path, ...more] = await selectSources(tree, source.pattern);
  if (path === undefined || more.length > 0) return undefined;
  const root = await resolvePath(tree, path, { followLast: true });
  const stat = await tree.lstat(root);
  return stat?.type === "directory" ? { tree, path, root } : undefined;
}

async function openTarget(
  op: CopyOp,
  place: {
    readonly request: OpRequest;
    readonly active: ActiveSnapshot;
    readonly count: PassingCount | undefined;
  },
): Promise<CopyTarget> {
  const { tree } = place.active;
  const { environment } = place.request;
  const owner = op.chown === undefined ? undefined : await resolveOwner({ tree, owner: op.chown });
  const mode = op.chmod === undefined ? undefined : parseMode(op.chmod);
  return {
    tree,
    writer: openTreeWriter(place.active, {
      thread: environment.thread,
      signal: environment.signal,
    }),
    destination: op.destination,
    owner,
    changeMode: mode?.apply,
    created: {
      // Directories that are made on the way get no setuid, setgid or sticky bit.
      mode: (mode?.octal ?? 0o755) & 0o777,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      mtime: environment.implicitTime,
    },
    exclude: op.exclude,
    sync: new EarlySync(environment.store),
    count: place.count,
    signal: environment.signal,
  };
}

async function copyPaths(
  op: CopyOp,
  work: {
    readonly source: PathSource;
    readonly target: CopyTarget;
    readonly request: OpRequest;
  },
): Promise<void> {
  const { source, target, request } = work;
  const tree = await inputTree(source, request);
  if (op.parents) return copyByPivots(target, { tree, pattern: source.pattern });
  for (const path of await selectSources(tree, source.pattern)) {
    if (source.unpack && (await unpackArchive(target, { tree, path }))) continue;
    await copySource(target, { tree, path });
  }
}

/** `--parents` drops what stands before the first `/./`, which may be several directories when it holds wildcards. */
async function copyByPivots(
  target: CopyTarget,
  { tree, pattern }: { readonly tree: MergedTree; readonly pattern: string },
): Promise<void> {
  const paths = new Set(await selectSources(tree, pattern, { parents: true }));
  for (const pivot of await pivotsOf(tree, pattern)) {
    const below = [...paths].filter((path) => isBelow(path, pivot));
    for (const path of below) paths.delete(path);
    await copyWithParents(target, { tree, pivot, paths: below });
  }
  // Where links led out of every pivot, all there is to keep is the place below the root.
  if (paths.size > 0) await copyWithParents(target, { tree, pivot: rootPath, paths: [...paths] });
}

async function pivotsOf(tree: MergedTree, pattern: string): Promise<RootPath[]> {
  const end = pattern.indexOf("/./");
  if (end <= 0) return [rootPath];
  const selected = await selectSources(tree, pattern.slice(0, end));
  return Promise.all(selected.map(async (path) => resolvePath(tree, path, { followLast: true })));
}

function isBelow(path: RootPath, directory: RootPath): boolean {
  if (directory.length === 0) return true;
  if (!path.subarray(0, directory.length).equals(directory)) return false;
  return path.length === directory.length || path[directory.length] === 0x2f;
}

async function inputTree(source: PathSource, request: Sources): Promise<MergedTree> {
  const result = inputResult(source, request);
  if (result === undefined) throw new Error(`input ${String(source.input)} of a copy is missing`);
  return treeOf(result, request.environment);
}

function inputResult({ input }: PathSource, { base, others }: Sources): VertexResult | undefined {
  return input === 0 ? base : others[input - 1];
}

/** A heredoc becomes a file named by its delimiter. */
async function writeInline(
  source: Extract<CopySource, { type: "inline" }>,
  target: CopyTarget,
): Promise<void> {
  const name = baseName(toRootPath(source.name, { beyondRoot: "stay" }));
  if (name.length === 0) throw conflict(`cannot name a file ${JSON.stringify(source.name)}`);
  const place = await placeFile(target, name);
  const { mtime } = target.created;
  const owner = target.owner ?? { uid: 0, gid: 0 };
  const mode = target.changeMode?.(0o644, false) ?? 0o644;
  await target.writer.file(place, { ...owner, mode, mtime }, Buffer.from(source.content));
}
