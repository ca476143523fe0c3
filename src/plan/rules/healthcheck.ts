import type { HealthcheckInstruction } from "../../dockerfile/index.ts";
import type { Healthcheck } from "../../image/index.ts";
import { planErrorAt } from "../errors.ts";
import { formatDuration, formatList, parseDuration } from "../text-formats.ts";
import { lintRepetition } from "./command.ts";
import { addHistory, type RuleScope } from "./rule.ts";

const millisecond = 1_000_000;

export function applyHealthcheck(instruction: HealthcheckInstruction, scope: RuleScope): void {
  lintRepetition(instruction, scope);
  const { image } = scope.state;
  const healthcheck = toHealthcheck(instruction);
  image.config = { ...image.config, healthcheck };
  addHistory(scope.state, `HEALTHCHECK ${formatHealthcheck(healthcheck)}`);
}

function toHealthcheck(instruction: HealthcheckInstruction): Healthcheck {
  const { command } = instruction;
  if (command === undefined) return { test: ["NONE"] };
  const retries = readRetries(instruction);
  return {
    test: command.form === "exec" ? ["CMD", ...command.argv] : ["CMD-SHELL", command.command],
    ...readDuration(instruction, "interval"),
    ...readDuration(instruction, "timeout"),
    ...readDuration(instruction, "startPeriod"),
    ...readDuration(instruction, "startInterval"),
    ...(retries === 0 ? {} : { retries }),
  };
}

type DurationField = "interval" | "timeout" | "startPeriod" | "startInterval";

/** Zero counts as not given. */
function readDuration(
  instruction: HealthcheckInstruction,
  field: DurationField,
): { [Field in DurationField]?: number } {
  const text = instruction[field];
  if (text === undefined) return {};
  const duration = parseDuration(text);
  if (duration === 0) return {};
  if (duration !== undefined && duration >= millisecond) return { [field]: duration };
  const reason = duration === undefined ? "invalid duration" : "cannot be less than 1ms";
  throw planErrorAt(
    instruction.location,
    "PLAN_DURATION_INVALID",
    `read --${flags[field]}=${text} of HEALTHCHECK: ${reason}`,
    "write a number with a unit, such as 30s or 1m30s; at least 1ms",
  );
}

const flags: Readonly<Record<DurationField, string>> = {
  interval: "interval",
  timeout: "timeout",
  startPeriod: "start-period",
  startInterval: "start-interval",
};

function readRetries({ retries = "0", location }: HealthcheckInstruction): number {
  if (/^\+?\d+$/.test(retries) && Number(retries) < 2 ** 31) return Number(retries);
  throw planErrorAt(
    location,
    "PLAN_DURATION_INVALID",
    /^-\d+$/.test(retries)
      ? `--retries cannot be negative (${retries}) in HEALTHCHECK`
      : `read --retries=${retries} of HEALTHCHECK: it is no whole number below 2147483648`,
    "give a whole number that is not negative",
  );
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
