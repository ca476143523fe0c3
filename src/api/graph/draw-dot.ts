import { fitText } from "./fit-text.ts";
import { classOf, describeBuild, describeNode } from "./node-text.ts";
import type { BuildGraph, GraphEdge, GraphNode } from "./types.ts";

const fills = { cached: "#dcebff", ran: "#ffe6c7", result: "#d9f2df", other: "#f2f2f2" };

/** For Graphviz. @see the DOT language */
export function drawDot(graph: BuildGraph): string {
  const { stages, nodes, edges } = graph;
  const loose = nodes.filter(({ stage }) => stage === undefined);
  return [
    "digraph build {",
    '  graph [rankdir=LR, fontname="sans-serif", fontsize=11, labelloc=b,',
    `    label=${quote(describeBuild(graph))}];`,
    '  node [shape=box, style="filled,rounded", fontname="monospace", fontsize=10];',
    '  edge [fontname="sans-serif", fontsize=9];',
    ...stages.flatMap(({ id, title }) => [
      `  subgraph cluster_${id} {`,
      `    label=${quote(title)};`,
      ...nodes.filter(({ stage }) => stage === id).map((node) => `    ${drawNode(node)}`),
      "  }",
    ]),
    ...loose.map((node) => `  ${drawNode(node)}`),
    ...edges.map((edge) => `  ${drawEdge(edge)}`),
    "}",
    "",
  ].join("\n");
}

function drawNode(node: GraphNode): string {
  const lines = [...fitText(node.title, { width: 44, most: 3 }), describeNode(node)];
  const label = lines.filter((line) => line !== "").join("\n");
  const fill = fills[classOf(node)];
  return `n${node.id} [label=${quote(label)}, tooltip=${quote(node.title)}, fillcolor="${fill}"];`;
}

function drawEdge({ from, to, kind, reads = [] }: GraphEdge): string {
  if (kind === "base") return `n${from} -> n${to};`;
  const [label = ""] = fitText(reads.join(" "), { width: 28 });
  return `n${from} -> n${to} [style=dashed, label=${quote(label)}];`;
}

/** Backslashes mean more to Graphviz than to others: `\n` and `\l` are its own. */
function quote(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll(/\r\n|[\n\r]/g, "\\n");
  return `"${escaped}"`;
}
