import { blanks } from "../characters.ts";
import {
  instructionError,
  keywordOf,
  requireArguments,
  syntaxOf,
  type RawInstruction,
} from "../raw-instruction.ts";
import { refuseFlags } from "../read-flags.ts";
import { splitQuotedWords } from "../split-words.ts";
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction } from "../types.ts";

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseEnv(raw: RawInstruction): EnvInstruction {
  refuseFlags(raw);
  return { keyword: "ENV", ...syntaxOf(raw), ...readNamedPairs(raw) };
}

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseLabel(raw: RawInstruction): LabelInstruction {
  refuseFlags(raw);
  return { keyword: "LABEL", ...syntaxOf(raw), ...readNamedPairs(raw) };
}

/** Flags are dropped without a word, as the reference builder does. @throws DOCKERFILE_ARGUMENTS */
export function parseArg(raw: RawInstruction): ArgInstruction {
  const words = splitQuotedWords(raw.rest, raw.escape);
  // An escape character alone is no word either.
  if (words.length === 0) requireArguments({ ...raw, rest: "" }, "ARG VERSION=1.0");
  return {
    keyword: "ARG",
    ...syntaxOf(raw),
    args: words.map((word, index) => readArg(raw, word, index)),
  };
}

function readNamedPairs(raw: RawInstruction): ReturnType<typeof readPairs> {
  const read = readPairs(raw);
  const blank = read.pairs.findIndex(({ key }) => key === "");
  if (blank >= 0) throw blankName(raw, blank);
  return read;
}

function readArg(raw: RawInstruction, word: string, index: number): ArgInstruction["args"][number] {
  const equals = word.indexOf("=");
  if (equals === 0) throw blankName(raw, index);
  if (equals < 0) return { name: word };
  return { name: word.slice(0, equals), defaultValue: word.slice(equals + 1) };
}

/**
 * `k=v …`, or the old `k rest of line`: the first word decides. Names may be empty here.
 * @throws DOCKERFILE_ARGUMENTS
 */
export function readPairs(raw: RawInstruction): { pairs: readonly KeyValue[]; legacy: boolean } {
  const keyword = keywordOf(raw);
  const words = splitQuotedWords(raw.rest, raw.escape);
  const first = words[0];
  if (first === undefined) requireArguments({ ...raw, rest: "" }, `${keyword} NAME=value`);
  if (first?.includes("=")) {
    return { pairs: words.map((word, index) => readPair(raw, word, index)), legacy: false };
  }
  const blank = blanks.exec(raw.rest);
  if (blank === null) {
    throw instructionError(raw, "DOCKERFILE_ARGUMENTS", `${keyword} must have two arguments`, {
      hint: `write ${keyword} ${raw.rest}=value`,
      part: { kind: "argument", index: 0 },
    });
  }
  const key = raw.rest.slice(0, blank.index);
  return { pairs: [{ key, value: raw.rest.slice(blank.index + blank[0].length) }], legacy: true };
}

function readPair(raw: RawInstruction, word: string, index: number): KeyValue {
  const equals = word.indexOf("=");
  if (equals >= 0) return { key: word.slice(0, equals), value: word.slice(equals + 1) };
  throw instructionError(
    raw,
    "DOCKERFILE_ARGUMENTS",
    `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
    {
      hint: "put a value that holds blanks between double quotes",
      part: { kind: "argument", index },
    },
  );
}

function blankName(raw: RawInstruction, index: number): Error {
  return instructionError(raw, "DOCKERFILE_ARGUMENTS", `${keywordOf(raw)} names can not be blank`, {
    hint: `write ${keywordOf(raw)} NAME=value, without blanks around =`,
    part: { kind: "argument", index },
  });
}
