import { fitText } from "./fit-text.ts";
import { classOf, describeBuild, describeNode } from "./node-text.ts";
import type { BuildGraph, GraphEdge, GraphNode } from "./types.ts";

/** For Mermaid, which many places draw that show Markdown. @see Mermaid's flowchart syntax */
export function drawMermaid(graph: BuildGraph): string {
  const { stages, nodes, edges } = graph;
  const loose = nodes.filter(({ stage }) => stage === undefined);
  return [
    `%% ${describeBuild(graph)}`,
    "flowchart LR",
    "  classDef cached fill:#dcebff,stroke:#2f6fbf,color:#10243e",
    "  classDef ran fill:#ffe6c7,stroke:#c46a00,color:#3a2000",
    "  classDef result fill:#d9f2df,stroke:#2b8a45,color:#0f2e18",
    "  classDef other fill:#f2f2f2,stroke:#8a8a8a,color:#222222",
    ...stages.flatMap(({ id, title }) => [
      `  subgraph s${id}["${escape(title)}"]`,
      // A stage is read downwards.
      "    direction TB",
      ...nodes.filter(({ stage }) => stage === id).map((node) => `    ${drawNode(node)}`),
      "  end",
    ]),
    ...loose.map((node) => `  ${drawNode(node)}`),
    ...edges.map((edge) => `  ${drawEdge(edge)}`),
    "",
  ].join("\n");
}

function drawNode(node: GraphNode): string {
  const lines = [...fitText(node.title, { width: 60, most: 2 }), describeNode(node)];
  const label = lines
    .filter((line) => line !== "")
    .map(escape)
    .join("<br/>");
  return `n${node.id}["${label}"]:::${classOf(node)}`;
}

function drawEdge({ from, to, kind, reads = [] }: GraphEdge): string {
  if (kind === "base") return `n${from} --> n${to}`;
  const [label = ""] = fitText(reads.join(" "), { width: 28 });
  return label === "" ? `n${from} -.-> n${to}` : `n${from} -.->|"${escape(label)}"| n${to}`;
}

/** Letters, digits and what surely means nothing stay; all else is written by its number. */
function escape(text: string): string {
  return Array.from(text, (character) =>
    /[\p{L}\p{N} .,:/_=+@·…-]/u.test(character)
      ? character
      : `#${String(character.codePointAt(0) ?? 0)};`,
  ).join("");
}
