import { selectSources } from "../../context/index.ts";
import { toRootPath, type MergedTree, type RootPath } from "../../layer/index.ts";
import type { CopyOp, CopySource } from "../../plan/index.ts";
import { resolveOwner } from "../../sandbox/index.ts";
import { openTreeWriter, type ActiveSnapshot } from "../../snapshot/index.ts";
import { parseMode } from "../chmod.ts";
import { copySource, copyWithParents, placeFile, type CopyTarget } from "../copy-tree.ts";
import { treeOf } from "../read-set.ts";
import type { LayersResult } from "../result.ts";
import { unpackArchive } from "../unpack-archive.ts";
import { makeLayer } from "./layer.ts";
import type { OpRequest } from "./request.ts";

type PathSource = Extract<CopySource, { type: "path" }>;

/**
 * COPY and ADD: writes straight into the new layer's directory, so the result already is the diff; nothing is mounted.
 * Paths of the destination are resolved inside the root, paths of a source inside its own tree.
 *
 * @throws BUILD_COPY_CONFLICT, BUILD_COPY_MODE_INVALID, CONTEXT_SOURCE_NOT_FOUND
 */
export async function executeCopy(op: CopyOp, request: OpRequest): Promise<LayersResult> {
  return makeLayer(request, async (active) => {
    const target = await openTarget(op, { request, active });
    for (const source of op.sources) {
      if (source.type === "path") await copyPaths(op, { source, target, request });
    }
    for (const source of op.sources) {
      if (source.type === "inline") await writeInline(source, target);
    }
    await target.writer.finish();
  });
}

async function openTarget(
  op: CopyOp,
  place: { readonly request: OpRequest; readonly active: ActiveSnapshot },
): Promise<CopyTarget> {
  const { tree } = place.active;
  const { environment } = place.request;
  const owner = op.chown === undefined ? undefined : await resolveOwner({ tree, owner: op.chown });
  const mode = op.chmod === undefined ? undefined : parseMode(op.chmod);
  return {
    tree,
    writer: openTreeWriter(place.active),
    destination: op.destination,
    owner,
    changeMode: mode?.apply,
    created: {
      mode: mode?.octal ?? 0o755,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      mtime: environment.implicitTime,
    },
    exclude: op.exclude,
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
  const paths = await selectSources(tree, source.pattern, { parents: op.parents });
  for (const path of paths) {
    if (source.unpack && (await unpackArchive(target, { tree, path }))) continue;
    if (op.parents) await copyWithParents(target, { tree, path, pivot: pivotOf(source.pattern) });
    else await copySource(target, { tree, path });
  }
}

async function inputTree(source: PathSource, request: OpRequest): Promise<MergedTree> {
  const { base, others, environment } = request;
  const result = source.input === 0 ? base : others[source.input - 1];
  if (result === undefined) throw new Error(`input ${String(source.input)} of a copy is missing`);
  return treeOf(result, environment);
}

/** `--parents` drops what stands before the first `/./`. */
function pivotOf(pattern: string): RootPath {
  const pivot = pattern.indexOf("/./");
  return toRootPath(pivot === -1 ? "" : pattern.slice(0, pivot), { beyondRoot: "stay" });
}

/** A heredoc becomes a file named by its delimiter. */
async function writeInline(
  source: Extract<CopySource, { type: "inline" }>,
  target: CopyTarget,
): Promise<void> {
  const place = await placeFile(target, Buffer.from(source.name));
  const { mtime } = target.created;
  const owner = target.owner ?? { uid: 0, gid: 0 };
  const mode = target.changeMode?.(0o644, false) ?? 0o644;
  await target.writer.file(place, { ...owner, mode, mtime }, Buffer.from(source.content));
}
