import { locateError, type SourceLocation } from "../core/index.ts";
import { dockerfileError } from "./errors.ts";
import { parseAdd, parseCopy } from "./instructions/copy.ts";
import { parseFrom } from "./instructions/from.ts";
import { parseHealthcheck } from "./instructions/healthcheck.ts";
import { parseArg, parseEnv, parseLabel } from "./instructions/key-values.ts";
import {
  parseCmd,
  parseEntrypoint,
  parseExpose,
  parseMaintainer,
  parseShell,
  parseStopsignal,
  parseUser,
  parseVolume,
  parseWorkdir,
} from "./instructions/metadata.ts";
import { parseOnbuild } from "./instructions/onbuild.ts";
import { parseRun } from "./instructions/run.ts";
import { splitLines } from "./lines.ts";
import { readLogicalLines } from "./logical-lines.ts";
import {
  cutInstruction,
  instructionError,
  keywordOf,
  type RawInstruction,
} from "./raw-instruction.ts";
import { withSuggestion } from "./suggest.ts";
import type { Instruction, StageInstruction } from "./types.ts";

/** One parser a keyword: a new instruction is a new line here. */
const parsers: {
  readonly [Keyword in Instruction["keyword"]]: (raw: RawInstruction) => Instruction;
} = {
  ADD: parseAdd,
  ARG: parseArg,
  CMD: parseCmd,
  COPY: parseCopy,
  ENTRYPOINT: parseEntrypoint,
  ENV: parseEnv,
  EXPOSE: parseExpose,
  FROM: parseFrom,
  HEALTHCHECK: parseHealthcheck,
  LABEL: parseLabel,
  MAINTAINER: parseMaintainer,
  ONBUILD: parseOnbuild,
  RUN: parseRun,
  SHELL: parseShell,
  STOPSIGNAL: parseStopsignal,
  USER: parseUser,
  VOLUME: parseVolume,
  WORKDIR: parseWorkdir,
};

/** @throws every DOCKERFILE_* code that an instruction can have */
export function parseRaw(raw: RawInstruction): Instruction {
  const keyword = keywordOf(raw);
  try {
    if (isKeyword(keyword)) return parsers[keyword](raw);
  } catch (error) {
    throw locateError(error, raw.location);
  }
  throw instructionError(
    raw,
    "DOCKERFILE_UNKNOWN_INSTRUCTION",
    withSuggestion(`unknown instruction: ${raw.keyword}`, {
      word: raw.keyword,
      candidates: gluedKeyword(raw.keyword) === undefined ? Object.keys(parsers) : [],
    }),
    {
      hint: unknownHint(raw.keyword),
      part: { kind: "keyword" },
    },
  );
}

/**
 * Parses one instruction that stands outside of a Dockerfile, such as an ONBUILD trigger. Its location is the given
 * one: the FROM that fires it.
 * @throws DOCKERFILE_ONBUILD when the text is not exactly one instruction that can stand inside a stage, and every
 *   other DOCKERFILE_* code
 */
export function parseInstruction(
  text: string,
  options: { readonly location: SourceLocation },
): StageInstruction {
  const { location } = options;
  const lines = splitLines(text, location.file);
  const [line, ...others] = readLogicalLines(lines, { file: location.file, escape: "\\" });
  if (line !== undefined && others.length === 0) {
    const raw = cutInstruction({ ...line, location }, { escape: "\\", lines: undefined });
    const instruction = parseRaw(raw);
    if (instruction.keyword !== "FROM") return instruction;
  }
  throw dockerfileError(
    "DOCKERFILE_ONBUILD",
    `read the trigger ${JSON.stringify(text)}: it is not one instruction`,
    {
      hint: "the base image carries a broken ONBUILD trigger; use another base",
      location,
    },
  );
}

function isKeyword(keyword: string): keyword is Instruction["keyword"] {
  return Object.hasOwn(parsers, keyword);
}

function unknownHint(keyword: string): string {
  const glued = gluedKeyword(keyword);
  return glued === undefined
    ? `the instructions are ${Object.keys(parsers).join(", ")}`
    : `put a blank between ${glued} and ${keyword.charAt(glued.length)}`;
}

/** The instruction in `CMD["a"]`, where only a blank is missing. */
function gluedKeyword(keyword: string): string | undefined {
  const glued = /^([A-Za-z]+)[[("']/.exec(keyword)?.[1]?.toUpperCase();
  return glued !== undefined && isKeyword(glued) ? glued : undefined;
}
