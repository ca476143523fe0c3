import { didYouMean } from "../suggest.ts";
import { readFlags } from "../read-flags.ts";
import { instructionError, syntaxOf, type RawInstruction } from "../raw-instruction.ts";
import { splitList } from "../split-words.ts";
import type { FromInstruction } from "../types.ts";

const stageNamePattern = /^[a-z][a-z0-9-_.]*$/;

/**
 * `FROM [--platform=P] image [AS name]`.
 * @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_STAGE_NAME, DOCKERFILE_FLAG_UNKNOWN and its kin
 */
export function parseFrom(raw: RawInstruction): FromInstruction {
  const words = splitList(raw.rest);
  const stageName = readStageName(raw, words);
  const flags = readFlags(raw, { platform: "text" });
  const platform = flags.text("platform");
  return {
    keyword: "FROM",
    ...syntaxOf(raw),
    image: words[0] ?? "",
    ...(platform === undefined || platform === "" ? {} : { platform }),
    ...(stageName === undefined ? {} : { stageName }),
  };
}

function readStageName(raw: RawInstruction, words: readonly string[]): string | undefined {
  const [, as = "", written = ""] = words;
  if (words.length === 3 && as.toLowerCase() === "as") {
    const name = written.toLowerCase();
    if (stageNamePattern.test(name)) return name;
    throw instructionError(
      raw,
      "DOCKERFILE_STAGE_NAME",
      `invalid name for build stage: ${JSON.stringify(written)}, name can't start with a number or contain symbols`,
      {
        hint: "a stage name begins with a letter and holds letters, digits, '_', '.' and '-'",
        part: { kind: "argument", index: 2 },
      },
    );
  }
  if (words.length === 1) return undefined;
  throw instructionError(
    raw,
    "DOCKERFILE_ARGUMENTS",
    "FROM requires either one or three arguments",
    {
      hint: fromHint(words),
      ...(words.length > 1 ? { part: { kind: "argument", index: 1 } as const } : {}),
    },
  );
}

function fromHint(words: readonly string[]): string {
  const [image = "", as = "", name] = words;
  if (words.length === 3 && didYouMean(as, ["AS"]) !== undefined)
    return `did you mean FROM ${image} AS ${String(name)}?`;
  if (words.length === 2 && as.toLowerCase() !== "as") {
    return `for a tag write FROM ${image}:${as}, for a stage name FROM ${image} AS ${as}`;
  }
  return "for example: FROM node:22 AS build";
}
