import { readCommandForm } from "./instructions/command-form.ts";
import { readPairs } from "./instructions/key-values.ts";
import { splitKeyword } from "./logical-lines.ts";
import { keywordOf, type RawInstruction } from "./raw-instruction.ts";
import { splitFlags } from "./split-flags.ts";

const jsonInstructions = new Set("RUN CMD ENTRYPOINT SHELL ADD COPY VOLUME".split(" "));

/**
 * The part of the grammar that does not depend on what an instruction means: JSON arrays hold strings, and pairs have
 * two sides. An unknown keyword has none. The whole file is checked for it before any instruction is looked at, so that
 * its errors come first and without the number of a line in their text.
 * @throws DOCKERFILE_JSON, DOCKERFILE_ARGUMENTS
 */
export function checkGrammar(raw: RawInstruction): void {
  const keyword = keywordOf(raw);
  if (keyword === "ONBUILD" && raw.rest !== "") checkGrammar(cutTrigger(raw));
  if (jsonInstructions.has(keyword)) readCommandForm(raw);
  if (keyword === "HEALTHCHECK") readCommandForm(raw, splitKeyword(raw.rest).rest);
  if ((keyword === "ENV" || keyword === "LABEL") && raw.rest !== "") readPairs(raw);
}

/** The instruction behind ONBUILD. */
export function cutTrigger(raw: RawInstruction): RawInstruction {
  const { keyword, rest } = splitKeyword(raw.rest);
  return { ...raw, keyword, ...splitFlags(rest, raw.escape) };
}
