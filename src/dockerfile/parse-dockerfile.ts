import type { SourceLocation } from "../core/index.ts";
import { readDirectives } from "./directives.ts";
import { dockerfileError } from "./errors.ts";
import { splitLines, trimLineEnd } from "./lines.ts";
import { readLogicalLines } from "./logical-lines.ts";
import { parseRaw } from "./parse-instruction.ts";
import { cutInstruction } from "./raw-instruction.ts";
import type {
  ArgInstruction,
  Dockerfile,
  FromInstruction,
  Instruction,
  StageInstruction,
  StageSyntax,
} from "./types.ts";

export interface ParseOptions {
  /** Name for messages and locations. */
  readonly file: string;
}

/**
 * Parses a Dockerfile; the first mistake ends it. Nothing is expanded and no stage is looked up.
 * @throws every DOCKERFILE_* code, with a location
 */
export function parseDockerfile(source: Uint8Array | string, options: ParseOptions): Dockerfile {
  const { file } = options;
  if (source.length === 0) throw empty(file, "the file is empty");
  const raw = splitLines(source, file);
  const { directives, lineCount } = readDirectives(raw, file);
  const { escape } = directives;
  const lines = raw.map(trimLineEnd);
  const instructions: Instruction[] = [];
  const blankContinuations: SourceLocation[] = [];
  for (const line of readLogicalLines(raw, { file, escape, directiveLines: lineCount })) {
    if (line.blankContinuation !== undefined) blankContinuations.push(line.blankContinuation);
    instructions.push(parseRaw(cutInstruction(line, { escape, lines })));
  }
  if (instructions.length === 0) throw empty(file, "there is no instruction in it");
  return { file, directives, lines, blankContinuations, ...groupStages(instructions, file) };
}

function groupStages(
  instructions: readonly Instruction[],
  file: string,
): { globalArgs: readonly ArgInstruction[]; stages: readonly StageSyntax[] } {
  const globalArgs: ArgInstruction[] = [];
  const stages: { from: FromInstruction; name?: string; instructions: StageInstruction[] }[] = [];
  for (const instruction of instructions) {
    const stage = stages.at(-1);
    if (instruction.keyword === "FROM") {
      const { stageName } = instruction;
      stages.push({
        from: instruction,
        ...(stageName === undefined ? {} : { name: stageName }),
        instructions: [],
      });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.keyword === "ARG") globalArgs.push(instruction);
    else throw noStage(instruction);
  }
  if (stages.length > 0) return { globalArgs, stages };
  throw dockerfileError("DOCKERFILE_NO_STAGE", `parse ${file}: no FROM says where to start`, {
    hint: "add a line such as FROM debian:12",
    location: { file, line: 1, column: 1 },
  });
}

function noStage({ keyword, location }: StageInstruction): Error {
  return dockerfileError("DOCKERFILE_NO_STAGE", `read ${keyword} before the first FROM`, {
    hint: "begin with FROM; only ARG may stand before it",
    location,
  });
}

function empty(file: string, reason: string): Error {
  return dockerfileError("DOCKERFILE_EMPTY", `parse ${file}: ${reason}`, {
    hint: "the smallest Dockerfile is one line: FROM debian:12",
    location: { file, line: 1, column: 1 },
  });
}
