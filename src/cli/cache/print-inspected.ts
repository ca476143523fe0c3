import type { InspectedFile, InspectedItem, InspectedKey } from "../../api/index.ts";
import { formatSeconds } from "../progress/amounts.ts";
import { sanitiseLine } from "../progress/terminal-text.ts";
import { formatCount, formatSize } from "../table.ts";

/** Files that are named; `--format json` names all. */
const namedFiles = 20;

/** What `cache inspect` prints, for people. Names come from strangers: none of them controls the terminal. */
export function formatInspected(item: InspectedItem): string {
  const sections = [headLines(item), layerLines(item), ...item.madeOf.map(keyLines)];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.map(clean).join("\n")}\n`)
    .join("\n");
}

function headLines(item: InspectedItem): readonly string[] {
  const { created, durationMs, lastUsed, result } = item;
  const rows = [
    ["ID", item.id],
    ["Step", item.description],
    ["Type", item.type],
    ["Made", created],
    ["Took", durationMs === undefined ? undefined : `${formatSeconds(durationMs)}s`],
    ["Last used", lastUsed],
    ["Durable", item.durable ? "yes" : "no: it does not survive a power cut"],
    ["Result", result],
    ["Size", `${formatSize(item.unique)} unique, ${formatSize(item.shared)} shared with images`],
    ...item.parents.map((parent) => ["Stands on", parent]),
  ];
  return rows.flatMap(([name = "", value]) =>
    value === undefined ? [] : [`${`${name}:`.padEnd(11)} ${value}`],
  );
}

function layerLines({ layers }: InspectedItem): readonly string[] {
  if (layers.length === 0) return [];
  return [
    "Layers, bottom first:",
    ...layers.map(
      ({ diffId, size, isShared }) =>
        `  ${diffId}  ${formatSize(size)}${isShared ? "  shared with images" : ""}`,
    ),
  ];
}

function keyLines({ key, kind, fields, files }: InspectedKey): readonly string[] {
  const how = kind === undefined ? "what it was made of is lost" : `by ${kind}`;
  return [
    `Key ${key}, ${how}:`,
    ...fields.map(({ name, value }) =>
      value === undefined ? `  ${name}` : `  ${name}: ${JSON.stringify(value)}`,
    ),
    ...fileLines(files),
  ];
}

function fileLines(files: readonly InspectedFile[]): readonly string[] {
  if (files.length === 0) return [];
  const more = files.length - namedFiles;
  return [
    `  ${formatCount(files.length, "file")}:`,
    ...files
      .slice(0, namedFiles)
      .map(({ path, mode, digest }) => `    ${mode.toString(8).padStart(4)}  ${digest}  ${path}`),
    ...(more <= 0 ? [] : [`    and ${String(more)} more (--format json has all)`]),
  ];
}

function clean(text: string): string {
  return sanitiseLine(text, { color: false });
}
