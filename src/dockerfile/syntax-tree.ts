import { createRequire } from "node:module";
import type * as DockerfileAst from "dockerfile-ast";
import type { SourceLocation } from "../core/index.ts";
import type { EscapeCharacter } from "./characters.ts";
import { locateText } from "./locate-text.ts";

/** A piece of one instruction that a message can point at. Indices count from 0 and flags are no arguments. */
export type InstructionPart =
  | { readonly kind: "keyword" }
  | { readonly kind: "flag"; readonly index: number }
  | { readonly kind: "argument"; readonly index: number }
  /** Exactly this text. */
  | { readonly kind: "text"; readonly text: string };

interface Located {
  readonly location: SourceLocation;
  readonly escape: EscapeCharacter;
  readonly lines: readonly string[] | undefined;
}

/**
 * Where a part of an instruction stands, as dockerfile-ast sees it. That package knows ranges but neither every
 * continuation nor every heredoc, so it is asked about one instruction at a time, and only when a place is needed:
 * loading it takes longer than parsing and planning an ordinary Dockerfile.
 */
export function locatePart(instruction: Located, part: InstructionPart): SourceLocation {
  const { lines, location } = instruction;
  if (lines === undefined) return location;
  if (part.kind === "text")
    return locateText({ ...instruction, lines }, location, part) ?? location;
  const first = location.line - 1;
  // The package ends a line at a lone carriage return, which is only a blank here.
  const fragment = lines
    .slice(first, location.endLine ?? location.line)
    .map((line) => line.replaceAll("\r", " "));
  // The directive costs a line, which is taken off again below.
  const text = [`# escape=${instruction.escape}`, ...fragment].join("\n");
  const range = rangeOf(parse(text), part);
  if (range === undefined) return location;
  const sameLine = range.start.line === range.end.line;
  return {
    file: location.file,
    line: first + range.start.line,
    column: range.start.character + 1,
    ...(sameLine ? { length: range.end.character - range.start.character } : {}),
  };
}

function parse(text: string): DockerfileAst.Instruction | undefined {
  const require = createRequire(import.meta.url);
  const { DockerfileParser } = require("dockerfile-ast") as typeof DockerfileAst;
  return DockerfileParser.parse(text).getInstructions()[0];
}

function rangeOf(
  instruction: DockerfileAst.Instruction | undefined,
  part: Exclude<InstructionPart, { readonly kind: "text" }>,
): ReturnType<DockerfileAst.Argument["getRange"]> | undefined {
  if (instruction === undefined) return undefined;
  switch (part.kind) {
    case "keyword":
      return instruction.getInstructionRange();
    case "flag":
      return wordsOf(instruction, true)[part.index]?.getRange();
    case "argument":
      return wordsOf(instruction, false)[part.index]?.getRange();
  }
}

/** Some of the package's classes count flags as arguments and some do not, so both are told apart here. */
function wordsOf(
  instruction: DockerfileAst.Instruction,
  flags: boolean,
): readonly { getRange(): ReturnType<DockerfileAst.Argument["getRange"]> }[] {
  const words = instruction.getArguments();
  const own =
    "getFlags" in instruction
      ? (instruction as DockerfileAst.ModifiableInstruction).getFlags()
      : [];
  const first = words.findIndex((word) => !word.getValue().startsWith("--"));
  const count = first < 0 ? words.length : first;
  if (flags) return own.length > 0 ? own : words.slice(0, count);
  return words.slice(count);
}
