import { hideCredentials, type SourceLocation } from "../core/index.ts";
import type { ContextBase, StageNode } from "./stage-graph.ts";
import type { VertexId } from "./types.ts";
import type { VertexTable } from "./vertex-table.ts";

/** The files of a named context as they are, for those who only read them. */
export function contextTree(base: ContextBase, vertices: VertexTable): VertexId {
  return vertices.add({ op: base.op, name: describeContext(base) });
}

/** The files of a named context as a root filesystem that a stage can begin with: one layer. */
export function contextRoot(
  stage: StageNode & { readonly base: ContextBase },
  options: { readonly vertices: VertexTable; readonly name: string },
): VertexId {
  const { vertices, name } = options;
  const tree = contextTree(stage.base, vertices);
  const { location } = stage;
  const copied = { pattern: ".", destination: "/", keepOwner: true };
  return treeLayer({ tree, ...copied, name, location }, vertices);
}

/** What a tree from outside holds, copied into a layer on nothing by a step that is like any COPY. */
export function treeLayer(
  wanted: {
    readonly tree: VertexId;
    readonly pattern: string;
    readonly destination: string;
    readonly keepOwner: boolean;
    readonly name: string;
    readonly location: SourceLocation;
  },
  vertices: VertexTable,
): VertexId {
  const { tree, pattern, destination, keepOwner, name, location } = wanted;
  return vertices.add({
    op: {
      type: "copy",
      instruction: "COPY",
      sources: [{ type: "path", input: 1, pattern, unpack: false, keepOwner, fromUrl: false }],
      destination,
      link: false,
      parents: false,
      exclude: [],
    },
    inputs: [vertices.emptyRoot(), tree],
    name,
    location,
  });
}

/** How history and progress tell of a context. */
export function describeContext({ name, op }: ContextBase): string {
  return `[context ${name}] ${describeOrigin(op)}`;
}

function describeOrigin(op: ContextBase["op"]): string {
  switch (op.type) {
    case "context":
      return "load from client";
    case "http":
      return hideCredentials(op.url);
    case "git": {
      const fragment = [op.ref ?? "", ...(op.subdir === undefined ? [] : [op.subdir])].join(":");
      return fragment === "" ? op.remote : `${op.remote}#${fragment}`;
    }
  }
}
