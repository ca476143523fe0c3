import { fitText } from "./fit-text.ts";
import { layOut, nodeWidth, type PlacedBlock, type PlacedEdge, type PlacedNode } from "./layout.ts";
import { classOf, describeBuild, describeNode } from "./node-text.ts";
import type { BuildGraph, GraphNode } from "./types.ts";
import { escapeMarkup } from "../escape-markup.ts";

const margin = 24;
const legendHeight = 40;
const inset = 10;
const lineHeight = 16;
/** Columns of text in a node: a monospaced character of 12 pixels is 7.2 wide, of some fonts a little more. */
const columns = Math.floor((nodeWidth - 2 * inset) / 7.4);
const titleColumns = Math.floor((nodeWidth - inset) / 7.8);
const mostLines = 3;

/**
 * A picture that is complete in itself: no script, no font, nothing from outside. It is light or dark as whoever looks at
 * it has set up. All text is cut to fit, and whole in the tooltips.
 */
export function drawSvg(graph: BuildGraph): string {
  const layout = layOut(graph, heightOf);
  const width = Math.max(layout.width, 560) + 2 * margin;
  const height = layout.height + 2 * margin + legendHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="build graph">`,
    `<style>${style}</style>`,
    arrows,
    `<rect class="page" width="${width}" height="${height}"/>`,
    drawLegend(graph),
    `<g transform="translate(${margin} ${margin + legendHeight})">`,
    ...layout.blocks.map(drawBlock),
    ...layout.edges.map(drawEdge),
    ...layout.nodes.map(drawNode),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

const style = `
svg { --page: #ffffff; --text: #1c1e21; --dim: #5c6370; --block: #f6f7f9; --frame: #d5d9e0;
  --line: #7d8590; --files: #8a63d2; --other: #ffffff; --other-frame: #a7aeb8;
  --cached: #dcebff; --cached-frame: #2f6fbf; --ran: #ffe6c7; --ran-frame: #c46a00;
  --result: #d9f2df; --result-frame: #2b8a45; }
@media (prefers-color-scheme: dark) {
  svg { --page: #15181d; --text: #e7e9ec; --dim: #a3abb8; --block: #1c2027; --frame: #353c47;
    --line: #7f8896; --files: #b79bf0; --other: #262b33; --other-frame: #5d6673;
    --cached: #17304f; --cached-frame: #5a9be6; --ran: #4a2e0b; --ran-frame: #e69a3c;
    --result: #163a22; --result-frame: #58b873; } }
.page { fill: var(--page) } text { fill: var(--text); font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
.dim { fill: var(--dim); font-size: 11px } .title { font-weight: 600 }
.block { fill: var(--block); stroke: var(--frame) } .node { stroke-width: 1.2 }
.other { fill: var(--other); stroke: var(--other-frame) } .cached { fill: var(--cached); stroke: var(--cached-frame) }
.ran { fill: var(--ran); stroke: var(--ran-frame) } .result { fill: var(--result); stroke: var(--result-frame) }
.edge { fill: none; stroke: var(--line); stroke-width: 1.4 } .files { stroke: var(--files); stroke-dasharray: 5 3 }
.head { fill: var(--line) } .head-files { fill: var(--files) }
`;

const arrows = `<defs>${["", "-files"]
  .map(
    (kind) =>
      `<marker id="arrow${kind}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head${kind}" d="M0 0L8 4L0 8z"/></marker>`,
  )
  .join("")}</defs>`;

function heightOf(node: GraphNode): number {
  const lines = fitText(node.title, { width: columns, most: mostLines }).length;
  return 14 + lineHeight * (lines + (describeNode(node) === "" ? 0 : 1));
}

function drawLegend(graph: BuildGraph): string {
  const shown = [
    ["cached", "cached"],
    ["ran", "ran"],
    ["result", "what comes out"],
  ] as const;
  let x = margin;
  const parts = shown.map(([name, text]) => {
    const part = `<rect class="node ${name}" x="${x}" y="17" width="16" height="12" rx="3"/><text x="${x + 22}" y="27">${text}</text>`;
    x += 22 + text.length * 8 + 16;
    return part;
  });
  return `${parts.join("")}<text class="dim" x="${x}" y="27">${escapeMarkup(describeBuild(graph))}</text>`;
}

function drawBlock({ x, y, width, height, title }: PlacedBlock): string {
  if (title === undefined) return "";
  const [shown = ""] = fitText(title, { width: titleColumns });
  return `<g><title>${escapeMarkup(title)}</title><rect class="block" x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/><text class="title" x="${x + 12}" y="${y + 18}">${escapeMarkup(shown)}</text></g>`;
}

/** Each node is a picture of its own, beyond whose edges nothing is drawn. */
function drawNode({ node, x, y, width, height }: PlacedNode): string {
  const lines = fitText(node.title, { width: columns, most: mostLines });
  const [below = ""] = fitText(describeNode(node), { width: columns + 3 });
  const rows = lines.map(
    (line, index) =>
      `<text x="${inset}" y="${18 + index * lineHeight}">${escapeMarkup(line)}</text>`,
  );
  const last = `<text class="dim" x="${inset}" y="${18 + lines.length * lineHeight}">${escapeMarkup(below)}</text>`;
  return [
    `<svg x="${x}" y="${y}" width="${width}" height="${height}"><title>${escapeMarkup(node.title)}</title>`,
    `<rect class="node ${classOf(node)}" x="1" y="1" width="${width - 2}" height="${height - 2}" rx="6"/>`,
    ...rows,
    ...(below === "" ? [] : [last]),
    "</svg>",
  ].join("");
}

function drawEdge({ edge, points, isInside }: PlacedEdge): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let path = `M${first.x} ${first.y}`;
  let before = first;
  for (const [index, point] of rest.entries()) {
    // Between two columns in a curve, beside the stages of one straight on.
    const isCurve = !isInside && index % 2 === 0;
    const middle = Math.round((before.x + point.x) / 2);
    path += isCurve
      ? `C${middle} ${before.y} ${middle} ${point.y} ${point.x} ${point.y}`
      : `L${point.x} ${point.y}`;
    before = point;
  }
  const { kind, reads = [] } = edge;
  const files = kind === "files" ? " files" : "";
  const head = kind === "files" ? "arrow-files" : "arrow";
  const title = reads.length === 0 ? "" : `<title>${escapeMarkup(reads.join("\n"))}</title>`;
  return `<path class="edge${files}" marker-end="url(#${head})" d="${path}">${title}</path>`;
}
