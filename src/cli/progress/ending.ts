import type { ProgressEvent, Warning } from "../../core/index.ts";

type ImageReady = Extract<ProgressEvent, { type: "image-ready" }>;

/** ` 2 warnings found:` and one line each, behind an empty line; nothing without warnings. */
export function warningLines(warnings: readonly Warning[]): string[] {
  if (warnings.length === 0) return [];
  const count = warnings.length === 1 ? "1 warning" : `${String(warnings.length)} warnings`;
  return ["", ` ${count} found:`, ...warnings.flatMap(linesOfWarning)];
}

function linesOfWarning({ code, message, location, hint }: Warning): string[] {
  const place = location === undefined ? "" : ` (line ${String(location.line)})`;
  const line = ` - ${code}: ${message}${place}`;
  return hint === undefined ? [line] : [line, `   hint: ${hint}`];
}

/** What was built, as one line. */
export function imageLine({ imageId, names }: ImageReady): string {
  return names.length === 0 ? `image ${imageId}` : `image ${imageId} is ${names.join(", ")}`;
}
