import type { SourceLocation } from "../../core/index.ts";

/** The Dockerfile that a result speaks of. */
export interface SourceFile {
  /** As messages name it. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** A place as BuildKit's results have it: one range for every line, and no columns. */
export interface LocationDocument {
  readonly ranges: readonly {
    readonly start: { readonly line: number };
    readonly end: { readonly line: number };
  }[];
}

export function toLocationDocument({
  line,
  endLine = line,
}: Pick<SourceLocation, "line" | "endLine">): LocationDocument {
  const count = Math.max(endLine - line, 0) + 1;
  const lines = Array.from({ length: count }, (_, index) => ({ line: line + index }));
  return { ranges: lines.map((place) => ({ start: place, end: place })) };
}

/** Files as outlines and lists of targets carry them. */
export function toSources(source: SourceFile): readonly string[] {
  return [source.bytes.toString("base64")];
}
