import { unreachable } from "../../core/index.ts";
import type { StageInstruction } from "../../dockerfile/index.ts";
import { applyCmd, applyEntrypoint, applyShell } from "./command.ts";
import { applyCopy } from "./copy.ts";
import { applyArg, applyEnv, applyLabel } from "./environment.ts";
import { applyExpose } from "./expose.ts";
import { applyHealthcheck } from "./healthcheck.ts";
import {
  applyMaintainer,
  applyOnbuild,
  applyStopsignal,
  applyUser,
  applyVolume,
} from "./metadata.ts";
import type { RuleScope } from "./rule.ts";
import { applyRun } from "./run.ts";
import { applyWorkdir } from "./workdir.ts";

/** Folds one instruction into its stage: a new instruction is a new case here. */
export function applyInstruction(instruction: StageInstruction, scope: RuleScope): void {
  switch (instruction.keyword) {
    case "ADD":
    case "COPY":
      return applyCopy(instruction, scope);
    case "ARG":
      return applyArg(instruction, scope);
    case "CMD":
      return applyCmd(instruction, scope);
    case "ENTRYPOINT":
      return applyEntrypoint(instruction, scope);
    case "ENV":
      return applyEnv(instruction, scope);
    case "EXPOSE":
      return applyExpose(instruction, scope);
    case "HEALTHCHECK":
      return applyHealthcheck(instruction, scope);
    case "LABEL":
      return applyLabel(instruction, scope);
    case "MAINTAINER":
      return applyMaintainer(instruction, scope);
    case "ONBUILD":
      return applyOnbuild(instruction, scope);
    case "RUN":
      return applyRun(instruction, scope);
    case "SHELL":
      return applyShell(instruction, scope);
    case "STOPSIGNAL":
      return applyStopsignal(instruction, scope);
    case "USER":
      return applyUser(instruction, scope);
    case "VOLUME":
      return applyVolume(instruction, scope);
    case "WORKDIR":
      return applyWorkdir(instruction, scope);
    default:
      return unreachable(instruction);
  }
}
