import { checksumSelection, selectSources, type StatCache } from "../context/index.ts";
import type { MergedTree } from "../layer/index.ts";
import type { Op } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import { FileFields } from "./keys.ts";
import type { VertexResult } from "./result.ts";

/** A result as a tree to read from; fetches a lazy base image first. */
export async function treeOf(
  result: VertexResult,
  environment: BuildEnvironment,
): Promise<MergedTree> {
  if (result.type === "tree") return result.tree;
  await result.materialize?.();
  return environment.snapshots.tree(result.chainId);
}

/** Checksums of exactly the files that `op` reads from `result`, the one behind its input number `index`. */
export async function readFieldsOf(request: {
  readonly op: Op;
  readonly index: number;
  readonly result: VertexResult;
  readonly environment: BuildEnvironment;
}): Promise<FileFields[]> {
  const { op, index, result, environment } = request;
  const tree = await treeOf(result, environment);
  const statCache = await digestsOf(result, environment);
  const fields: FileFields[] = [];
  for (const [number, pattern] of readPatterns(op, index)) {
    // What the whole tree is, is known without reading it: a downloaded file.
    if (result.type === "tree" && result.digest !== undefined) {
      const path = pattern.replaceAll(/\\(.)/g, "$1");
      fields.push(new FileFields(number, [{ path, digest: result.digest, mode: 0o600 }]));
      continue;
    }
    const parents = op.type === "copy" && op.parents;
    const paths = await selectSources(tree, pattern, { parents });
    const files = await checksumSelection({
      tree,
      paths,
      parents,
      // With `--parents` they are relative to the pivot: then rather count too much than miss a change.
      exclude: op.type === "copy" && !op.parents ? op.exclude : [],
      statCache,
      thread: environment.thread,
      signal: environment.signal,
    });
    fields.push(new FileFields(number, files));
  }
  // Nobody else adds to what is known of layers, and no other step may ask again.
  if (result.type === "layers") await statCache?.save();
  return fields;
}

/** Where digests of what is in the tree are remembered. */
export async function digestsOf(
  result: VertexResult,
  environment: BuildEnvironment,
): Promise<StatCache | undefined> {
  if (result.type === "tree") return environment.statCache;
  if (result.chainId === undefined) return undefined;
  return environment.layerDigests?.(result.chainId);
}

function readPatterns(op: Op, index: number): [number, string][] {
  if (op.type === "copy") {
    return op.sources.flatMap((source, number): [number, string][] =>
      source.type === "path" && source.input === index ? [[number, source.pattern]] : [],
    );
  }
  if (op.type === "exec") {
    return op.mounts.flatMap((mount, number): [number, string][] =>
      (mount.type === "bind" || mount.type === "cache") && mount.input === index
        ? [[number, escapeGlob(mount.source)]]
        : [],
    );
  }
  return [];
}

/** A mount's source is a plain path; nothing in it is a wildcard. */
function escapeGlob(path: string): string {
  return path.replaceAll(/[\\*?[]/g, "\\$&");
}
