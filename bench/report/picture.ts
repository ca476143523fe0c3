import { type Figures, ratioToPeers } from "./goals.ts";
import { ratioText } from "./table.ts";

export interface Bar {
  readonly label: string;
  readonly figures: Figures;
}

const width = 900;
const lineHeight = 26;
const top = 58;
const labelWidth = 430;
const barWidth = 260;
const captionHeight = 20;

// Read on white and on dark by itself; sharper where the viewer tells which of them it shows.
const style = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #707a85 }
  .title { font-weight: 600; font-size: 15px }
  .bar { fill: #2da44e } .slow { fill: #d1661f } .peer { fill: #8c959f; opacity: 0.3 }
  .line { stroke: #8c959f; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: light) { text { fill: #1f2328 } .quiet { fill: #59636e } }
  @media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .quiet { fill: #9198a1 } }`;

/**
 * An SVG with one bar a row: tsbuild's time as a part of the fastest peer's. Rows without a peer are left out; a bar that
 * would be longer than the peer's ends there, in another colour, and its figure tells.
 */
export function drawPicture(options: {
  readonly title: string;
  /** Machine and versions, a line each. */
  readonly captions: readonly string[];
  readonly bars: readonly Bar[];
}): string {
  const bars = options.bars.filter(({ figures }) => figures.peers.length > 0);
  const height = top + bars.length * lineHeight + 16 + options.captions.length * captionHeight;
  const end = labelWidth + barWidth;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" ` +
      `width="${String(width)}" height="${String(height)}" role="img">`,
    `<title>${escapeXml(options.title)}</title>`,
    `<style>${style}\n</style>`,
    text({ x: 12, y: 24, kind: "title" }, options.title),
    text({ x: end, y: 46, kind: "quiet", anchor: "end" }, "the fastest peer = 1"),
    ...bars.flatMap(drawBar),
    `<line class="line" x1="${String(end)}" x2="${String(end)}" y1="${String(top - 6)}" ` +
      `y2="${String(top + bars.length * lineHeight - 4)}"/>`,
    ...options.captions.map((caption, index) => {
      const y = top + bars.length * lineHeight + (index + 1) * captionHeight;
      return text({ x: 12, y, kind: "quiet" }, caption);
    }),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

/** Text that may stand between tags and in attributes. */
export function escapeXml(plain: string): string {
  return plain
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function drawBar({ label, figures }: Bar, index: number): readonly string[] {
  const ratio = ratioToPeers(figures) ?? 0;
  const y = top + index * lineHeight;
  const length = Math.max(2, Math.min(1, ratio) * barWidth);
  const rectangle = (kind: string, size: number): string =>
    `<rect class="${kind}" x="${String(labelWidth)}" y="${String(y)}" width="${size.toFixed(1)}" ` +
    `height="${String(lineHeight - 10)}" rx="2"/>`;
  return [
    text({ x: labelWidth - 10, y: y + 13, anchor: "end" }, label),
    rectangle("peer", barWidth),
    rectangle(ratio > 1 ? "slow" : "bar", length),
    text({ x: labelWidth + barWidth + 10, y: y + 13 }, ratioText(figures)),
  ];
}

function text(
  at: { readonly x: number; readonly y: number; readonly kind?: string; readonly anchor?: string },
  plain: string,
): string {
  const kind = at.kind === undefined ? "" : ` class="${at.kind}"`;
  const anchor = at.anchor === undefined ? "" : ` text-anchor="${at.anchor}"`;
  return `<text x="${String(at.x)}" y="${String(at.y)}"${kind}${anchor}>${escapeXml(plain)}</text>`;
}
