import type { SourceLocation } from "../core/index.ts";
import type { Op, Vertex, VertexId } from "./types.ts";

export interface NewVertex {
  readonly op: Op;
  readonly inputs?: readonly VertexId[];
  readonly name: string;
  readonly location?: SourceLocation | undefined;
}

/** Collects the vertices of a plan. The same op on the same inputs is one vertex; its first name stays. */
export class VertexTable {
  readonly #vertices: Vertex[] = [];
  readonly #ids = new Map<string, VertexId>();

  add({ op, inputs = [], name, location }: NewVertex): VertexId {
    const key = `${inputs.join(",")} ${JSON.stringify(op)}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#vertices.length;
    this.#ids.set(key, id);
    this.#vertices.push({ id, op, inputs, name, ...(location === undefined ? {} : { location }) });
    return id;
  }

  list(): readonly Vertex[] {
    return this.#vertices;
  }
}
