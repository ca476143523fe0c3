import { splitKeyword } from "../logical-lines.ts";
import { refuseFlags } from "../read-flags.ts";
import {
  instructionError,
  requireArguments,
  syntaxOf,
  type RawInstruction,
} from "../raw-instruction.ts";
import { splitFlags } from "../split-flags.ts";
import type { OnbuildInstruction } from "../types.ts";
import { readCommandForm } from "./command-form.ts";
import { readPairs } from "./key-values.ts";

const jsonInstructions = new Set("RUN CMD ENTRYPOINT SHELL ADD COPY VOLUME".split(" "));

/**
 * Keeps a trigger as text: unknown keywords and flags surface when it fires, but a broken JSON array or a pair
 * without value is told now.
 * @throws DOCKERFILE_ONBUILD, DOCKERFILE_ARGUMENTS, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN
 */
export function parseOnbuild(raw: RawInstruction): OnbuildInstruction {
  requireArguments(raw, "ONBUILD COPY . /app");
  const trigger = splitKeyword(raw.rest);
  const keyword = trigger.keyword.toUpperCase();
  checkGrammar({ ...raw, keyword, ...splitFlags(trigger.rest, raw.escape) });
  refuseFlags(raw);
  if (["ONBUILD", "FROM", "MAINTAINER"].includes(keyword)) {
    throw instructionError(
      raw,
      "DOCKERFILE_ONBUILD",
      `read ONBUILD ${keyword}: ${keyword} cannot be a trigger`,
      {
        hint:
          keyword === "ONBUILD"
            ? "triggers do not pass on to grandchildren; write one ONBUILD"
            : "use an instruction that can stand inside a stage",
        part: { kind: "argument", index: 0 },
      },
    );
  }
  const text = raw.original.replace(/^\s*ONBUILD\s*/i, "");
  const bodies = raw.heredocs.map(({ content, name }) => `\n${content}${name}`);
  return { keyword: "ONBUILD", ...syntaxOf(raw), trigger: text + bodies.join("") };
}

function checkGrammar(trigger: RawInstruction): void {
  if (jsonInstructions.has(trigger.keyword)) readCommandForm(trigger);
  if ((trigger.keyword === "ENV" || trigger.keyword === "LABEL") && trigger.rest !== "")
    readPairs(trigger);
}
