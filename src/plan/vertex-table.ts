import type { SourceLocation } from "../core/index.ts";
import type { Op, Vertex, VertexId } from "./types.ts";

export interface NewVertex {
  readonly op: Op;
  readonly inputs?: readonly VertexId[];
  readonly name: string;
  readonly location?: SourceLocation | undefined;
  readonly ignoreCache?: boolean;
}

/**
 * Vertices of one kind on the same inputs. Almost always there is only one, so ops are written out and compared only
 * when there are more.
 */
interface Siblings {
  readonly first: Vertex;
  byOp?: Map<string, VertexId>;
}

/** Collects the vertices of a plan. The same op on the same inputs is one vertex; its first name stays. */
export class VertexTable {
  readonly #vertices: Vertex[] = [];
  readonly #siblings = new Map<string, Siblings>();

  add(vertex: NewVertex): VertexId {
    const { op, inputs = [] } = vertex;
    const key = `${op.type} ${inputs.join(" ")}`;
    const siblings = this.#siblings.get(key);
    if (siblings === undefined) {
      const first = this.#append(vertex);
      this.#siblings.set(key, { first });
      return first.id;
    }
    siblings.byOp ??= new Map([[JSON.stringify(siblings.first.op), siblings.first.id]]);
    const text = JSON.stringify(op);
    const known = siblings.byOp.get(text) ?? this.#append(vertex).id;
    siblings.byOp.set(text, known);
    return known;
  }

  /** The root that holds nothing. */
  emptyRoot(): VertexId {
    return this.add({ op: { type: "scratch" }, name: "[internal] empty root" });
  }

  list(): readonly Vertex[] {
    return this.#vertices;
  }

  #append({ op, inputs = [], name, location }: NewVertex): Vertex {
    const id = this.#vertices.length;
    const vertex = { id, op, inputs, name, ...(location === undefined ? {} : { location }) };
    this.#vertices.push(vertex);
    return vertex;
  }
}
