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
  return { keyword: "ENV", ...syntaxOf(raw), ...readPairs(raw) };
}

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseLabel(raw: RawInstruction): LabelInstruction {
  refuseFlags(raw);
  return { keyword: "LABEL", ...syntaxOf(raw), ...readPairs(raw) };
}

/** Flags are dropped without a word, as the reference builder does. @throws DOCKERFILE_ARGUMENTS */
export function parseArg(raw: RawInstruction): ArgInstruction {
  requireArguments(raw, "ARG VERSION=1.0");
  const words = splitQuotedWords(raw.rest, raw.escape);
  return {
    keyword: "ARG",
    ...syntaxOf(raw),
    args: words.map((word, index) => readArg(raw, word, index)),
  };
}

function readArg(raw: RawInstruction, word: string, index: number): ArgInstruction["args"][number] {
  const equals = word.indexOf("=");
  if (equals === 0) throw blankName(raw, index);
  if (equals < 0) return { name: word };
  return { name: word.slice(0, equals), defaultValue: word.slice(equals + 1) };
}

/**
 * `k=v …`, or the old `k rest of line`: the first word decides.
 * @throws DOCKERFILE_ARGUMENTS
 */
export function readPairs(raw: RawInstruction): { pairs: readonly KeyValue[]; legacy: boolean } {
  const keyword = keywordOf(raw);
  const words = splitQuotedWords(raw.rest, raw.escape);
  const first = words[0];
  if (first === undefined) requireArguments(raw, `${keyword} NAME=value`);
  if (first?.includes("=")) {
    return { pairs: words.map((word, index) => readPair(raw, word, index)), legacy: false };
  }
  const blank = blanks.exec(raw.rest);
  if (blank === null) {
    throw instructionError(
      raw,
      "DOCKERFILE_ARGUMENTS",
      `read ${keyword} ${raw.rest}: the value is missing`,
      {
        hint: `write ${keyword} ${raw.rest}=value`,
        part: { kind: "argument", index: 0 },
      },
    );
  }
  const key = raw.rest.slice(0, blank.index);
  return { pairs: [{ key, value: raw.rest.slice(blank.index + blank[0].length) }], legacy: true };
}

function readPair(raw: RawInstruction, word: string, index: number): KeyValue {
  const equals = word.indexOf("=");
  if (equals === 0) throw blankName(raw, index);
  if (equals > 0) return { key: word.slice(0, equals), value: word.slice(equals + 1) };
  throw instructionError(
    raw,
    "DOCKERFILE_ARGUMENTS",
    `read ${keywordOf(raw)}: there is no = in ${JSON.stringify(word)}`,
    {
      hint: "every pair has the form NAME=value; put a value that holds blanks between double quotes",
      part: { kind: "argument", index },
    },
  );
}

function blankName(raw: RawInstruction, index: number): Error {
  return instructionError(
    raw,
    "DOCKERFILE_ARGUMENTS",
    `read ${keywordOf(raw)}: the name before = is missing`,
    {
      hint: `write ${keywordOf(raw)} NAME=value, without blanks around =`,
      part: { kind: "argument", index },
    },
  );
}
