import { coreError, isTsbuildError, locateError } from "../core/index.ts";
import type {
  CopyOp,
  ExecOp,
  MergeOp,
  MkdirOp,
  Op,
  Plan,
  Vertex,
  VertexId,
} from "../plan/index.ts";

/** A vertex of a plan by its ID. */
export function vertexOf(plan: Plan, id: VertexId): Vertex {
  const vertex = plan.vertices[id];
  if (vertex === undefined) throw coreError("INTERNAL", `look up vertex ${String(id)}`);
  return vertex;
}

/**
 * What `vertex` is built from, inputs before users, without what is `known` and what that is built from. No recursion:
 * a chain may be thousands of steps long.
 */
export function ancestorsOf(
  plan: Plan,
  vertex: Vertex,
  known: { has(id: VertexId): boolean },
): Vertex[] {
  const found = new Set<VertexId>();
  const pending = [...vertex.inputs];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (known.has(id) || found.has(id)) continue;
    found.add(id);
    pending.push(...vertexOf(plan, id).inputs);
  }
  return Array.from(found)
    .sort((a, b) => a - b)
    .map((id) => vertexOf(plan, id));
}

/** Steps that are to run again, and all that stands on them: no remembered definition counts for these. */
export function renewedVertices({ vertices }: Plan): ReadonlySet<VertexId> {
  const renewed = new Set<VertexId>();
  for (const { id, inputs, ignoreCache } of vertices) {
    if (ignoreCache === true || inputs.some((input) => renewed.has(input))) renewed.add(id);
  }
  return renewed;
}

/**
 * Steps whose files something in this build reads: what runs or copies on them or from them, and with `targets` whoever
 * gets the results. A layer that is put on another stack (`--link`) is read where the result is, and the stack always:
 * only a tar goes on it without its files, and the plan does not tell what becomes one.
 */
export function readVertices(
  { vertices, targets }: Plan,
  options: { readonly targets: boolean },
): ReadonlySet<VertexId> {
  const read = new Set(options.targets ? targets.map(({ vertex }) => vertex) : []);
  // Users before inputs.
  for (const { id, op, inputs } of vertices.toReversed()) {
    const isUnread = op.type === "merge" && !read.has(id);
    for (const input of isUnread ? inputs.slice(0, 1) : inputs) read.add(input);
  }
  return read;
}

/** An error with the place of its instruction, where it has one. */
export function locateAt({ location }: Vertex, error: unknown): unknown {
  if (location === undefined || isTsbuildError(error, "CANCELED")) return error;
  return locateError(error, location);
}

/** `--link` is two vertices, the copy and the merge, and one step on the screen. */
export function shownAs({ id, op, inputs }: Vertex): VertexId {
  return op.type === "merge" ? (inputs[1] ?? id) : id;
}

/** Whether it makes a layer and has a record in the cache. */
export function isStep(op: Op): op is ExecOp | CopyOp | MergeOp | MkdirOp {
  return ["exec", "copy", "merge", "mkdir"].includes(op.type);
}

/** Trees from outside have no definition of their own: only their files say what they are, or the checksum of a file. */
export function isForeignTree(op: Op): boolean {
  return op.type === "context" || (op.type === "http" && op.checksum === undefined);
}
