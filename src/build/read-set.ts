import type { Digest } from "../core/index.ts";
import { checksumSelection, selectSources } from "../context/index.ts";
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

/** Checksums of exactly the files that `op` reads from the tree behind its input number `index`. */
export async function readFieldsOf(request: {
  readonly op: Op;
  readonly index: number;
  readonly tree: MergedTree;
  /** What the whole tree is, when that is known without reading it: a downloaded file. */
  readonly digest?: Digest | undefined;
  readonly environment: BuildEnvironment;
}): Promise<FileFields[]> {
  const { op, index, tree, digest, environment } = request;
  const fields: FileFields[] = [];
  for (const [number, pattern] of readPatterns(op, index)) {
    if (digest !== undefined) {
      const path = pattern.replaceAll(/\\(.)/g, "$1");
      fields.push(new FileFields(number, [{ path, digest, mode: 0o600 }]));
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
      statCache: environment.statCache,
      thread: environment.thread,
      signal: environment.signal,
    });
    fields.push(new FileFields(number, files));
  }
  return fields;
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
