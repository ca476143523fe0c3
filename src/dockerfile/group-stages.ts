import { dockerfileError } from "./errors.ts";
import type {
  ArgInstruction,
  FromInstruction,
  Instruction,
  StageInstruction,
  StageSyntax,
} from "./types.ts";

/** Instructions sorted into what stands before the first FROM and the stages, one after the other. */
export interface StageGroups {
  readonly globalArgs: ArgInstruction[];
  readonly stages: (StageSyntax & { readonly instructions: StageInstruction[] })[];
}

/** The instruction's place among the stages; an error when it can have none. */
export function addToStages(groups: StageGroups, instruction: Instruction): Error | undefined {
  const stage = groups.stages.at(-1);
  if (instruction.keyword === "FROM") groups.stages.push(startStage(instruction));
  else if (stage !== undefined) stage.instructions.push(instruction);
  else if (instruction.keyword === "ARG") groups.globalArgs.push(instruction);
  else return outsideStage(instruction);
  return undefined;
}

function startStage(from: FromInstruction): StageGroups["stages"][number] {
  const { stageName } = from;
  return { from, ...(stageName === undefined ? {} : { name: stageName }), instructions: [] };
}

function outsideStage({ keyword, location }: StageInstruction): Error {
  return dockerfileError(
    "DOCKERFILE_NO_STAGE",
    `read ${keyword} before the first FROM: no build stage in current context`,
    { hint: "begin with FROM; only ARG may stand before it", location },
  );
}
