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

/**
 * Collects the vertices of a plan. The same op on the same inputs is one vertex; its first name stays, and it ignores
 * the cache when one of its uses does.
 */
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
    const known = siblings.byOp.get(text);
    if (known !== undefined) {
      if (vertex.ignoreCache === true) this.#ignoreCache(known);
      return known;
    }
    const { id } = this.#append(vertex);
    siblings.byOp.set(text, id);
    return id;
  }

  /** The root that holds nothing. */
  emptyRoot(): VertexId {
    return this.add({ op: { type: "scratch" }, name: "[internal] empty root" });
  }

  list(): readonly Vertex[] {
    return this.#vertices;
  }

  #ignoreCache(id: VertexId): void {
    const vertex = this.#vertices[id];
    if (vertex !== undefined) this.#vertices[id] = { ...vertex, ignoreCache: true };
  }

  #append({ op, inputs = [], name, location, ignoreCache = false }: NewVertex): Vertex {
    const id = this.#vertices.length;
    const vertex: Vertex = {
      id,
      op,
      inputs,
      name,
      ...(location === undefined ? {} : { location }),
      ...(ignoreCache ? { ignoreCache } : {}),
    };
    this.#vertices.push(vertex);
    return vertex;
  }
}
