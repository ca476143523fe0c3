import type { HealthcheckInstruction } from "../../dockerfile/index.ts";
import type { Healthcheck } from "../../image/index.ts";
import { formatDuration, formatList } from "../text-formats.ts";
import { lintRepetition } from "./command.ts";
import { addHistory, type RuleScope } from "./rule.ts";

export function applyHealthcheck(instruction: HealthcheckInstruction, scope: RuleScope): void {
  lintRepetition(instruction, scope);
  const { image } = scope.state;
  const healthcheck = toHealthcheck(instruction);
  image.config = { ...image.config, healthcheck };
  addHistory(scope.state, `HEALTHCHECK ${formatHealthcheck(healthcheck)}`);
}

function toHealthcheck(instruction: HealthcheckInstruction): Healthcheck {
  const { command, interval, timeout, startPeriod, startInterval, retries } = instruction;
  if (command === undefined) return { test: ["NONE"] };
  return {
    test: command.form === "exec" ? ["CMD", ...command.argv] : ["CMD-SHELL", command.command],
    ...(interval === undefined ? {} : { interval }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(startPeriod === undefined ? {} : { startPeriod }),
    ...(startInterval === undefined ? {} : { startInterval }),
    ...(retries === undefined ? {} : { retries }),
  };
}

function formatHealthcheck(check: Healthcheck): string {
  const fields = [
    `Test:${formatList(check.test ?? [])}`,
    `Interval:${formatDuration(check.interval ?? 0)}`,
    `Timeout:${formatDuration(check.timeout ?? 0)}`,
    `StartPeriod:${formatDuration(check.startPeriod ?? 0)}`,
    `StartInterval:${formatDuration(check.startInterval ?? 0)}`,
    `Retries:${String(check.retries ?? 0)}`,
  ];
  return `{${fields.join(" ")}}`;
}
