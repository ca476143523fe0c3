import type { SourceLocation } from "../core/index.ts";
import { trimEndOf } from "./characters.ts";
import { dockerfileError } from "./errors.ts";

const maxLineBytes = 65_535;

/**
 * Cuts a Dockerfile's bytes into lines. Only the line feed is removed: a carriage return belongs to the bodies of
 * heredocs. A byte order mark at the very beginning is dropped.
 * @throws DOCKERFILE_LINE_TOO_LONG
 */
export function splitLines(source: Uint8Array | string, file: string): readonly string[] {
  const text =
    typeof source === "string"
      ? source
      : new TextDecoder("utf-8", { ignoreBOM: true }).decode(source);
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  if (lines.at(-1) === "") lines.pop();
  lines.forEach((line, index) => {
    // A UTF-16 unit is at most three bytes long, so most lines need no counting.
    if (line.length * 3 > maxLineBytes && Buffer.byteLength(line) > maxLineBytes) {
      throw dockerfileError(
        "DOCKERFILE_LINE_TOO_LONG",
        `dockerfile line greater than max allowed size of ${String(maxLineBytes)}`,
        {
          hint: "break the line with a continuation character, or COPY the text from a file",
          location: { file, line: index + 1, column: 1 },
        },
      );
    }
  });
  return lines;
}

/** The line without the carriage returns at its end. */
export function trimLineEnd(line: string): string {
  return line.endsWith("\r") ? trimEndOf(line, "\r") : line;
}

/** Where the first character that is not blank stands on a line. */
export function locateLine(file: string, lines: readonly string[], index: number): SourceLocation {
  const line = trimLineEnd(lines[index] ?? "");
  const column = line.length - line.trimStart().length;
  return { file, line: index + 1, column: column + 1, length: Math.max(line.trim().length, 1) };
}
