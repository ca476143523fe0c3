import { checkGrammar, cutTrigger } from "../check-grammar.ts";
import { refuseFlags } from "../read-flags.ts";
import {
  instructionError,
  keywordOf,
  requireArguments,
  syntaxOf,
  type RawInstruction,
} from "../raw-instruction.ts";
import type { OnbuildInstruction } from "../types.ts";

/**
 * Keeps a trigger as text: unknown keywords and flags surface when it fires, but a broken JSON array or a pair
 * without value is told now.
 * @throws DOCKERFILE_ONBUILD, DOCKERFILE_ARGUMENTS, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN
 */
export function parseOnbuild(raw: RawInstruction): OnbuildInstruction {
  requireArguments(raw, "ONBUILD COPY . /app");
  checkGrammar(raw);
  const keyword = keywordOf(cutTrigger(raw));
  refuseFlags(raw);
  if (["ONBUILD", "FROM", "MAINTAINER"].includes(keyword)) {
    throw instructionError(
      raw,
      "DOCKERFILE_ONBUILD",
      keyword === "ONBUILD"
        ? "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
        : `${keyword} isn't allowed as an ONBUILD trigger`,
      {
        hint:
          keyword === "ONBUILD"
            ? "triggers do not pass on to grandchildren; write one ONBUILD"
            : "use an instruction that can stand inside a stage",
        part: { kind: "argument", index: 0 },
      },
    );
  }
  const text = raw.original.replace(/^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i, "");
  const bodies = raw.heredocs.map(({ content, name }) => `\n${content}${name}`);
  return { keyword: "ONBUILD", ...syntaxOf(raw), trigger: text + bodies.join("") };
}
