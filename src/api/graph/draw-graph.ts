import { unreachable } from "../../core/index.ts";
import { drawDot } from "./draw-dot.ts";
import { drawMermaid } from "./draw-mermaid.ts";
import { drawSvg } from "./draw-svg.ts";
import type { BuildGraph } from "./types.ts";

export const graphFormats = ["svg", "mermaid", "dot", "json"] as const;
export type GraphFormat = (typeof graphFormats)[number];

/** The graph as text in one of the forms, with a line break at its end. */
export function drawGraph(graph: BuildGraph, format: GraphFormat): string {
  switch (format) {
    case "svg":
      return drawSvg(graph);
    case "mermaid":
      return drawMermaid(graph);
    case "dot":
      return drawDot(graph);
    case "json":
      return `${JSON.stringify(graph, undefined, 2)}\n`;
    default:
      return unreachable(format);
  }
}
