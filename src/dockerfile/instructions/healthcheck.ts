import { blanks } from "../characters.ts";
import { parseDuration } from "../duration.ts";
import { readFlags, type FlagValues } from "../read-flags.ts";
import {
  instructionError,
  requireArguments,
  syntaxOf,
  type RawInstruction,
} from "../raw-instruction.ts";
import type { HealthcheckInstruction } from "../types.ts";
import { readCommandForm } from "./command-form.ts";

const example = "HEALTHCHECK --interval=30s CMD curl -f http://localhost/ || exit 1";

/**
 * `HEALTHCHECK NONE`, or `HEALTHCHECK [flags] CMD command`.
 * @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_DURATION, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN and its kin
 */
export function parseHealthcheck(raw: RawInstruction): HealthcheckInstruction {
  requireArguments(raw, example);
  const { type, command } = splitType(raw.rest);
  if (type.toUpperCase() === "NONE") {
    if (command === "") return { keyword: "HEALTHCHECK", ...syntaxOf(raw) };
    throw failure(raw, "HEALTHCHECK NONE takes no arguments");
  }
  const flags = readFlags(raw, {
    interval: "text",
    timeout: "text",
    "start-period": "text",
    "start-interval": "text",
    retries: "text",
  });
  if (type.toUpperCase() !== "CMD")
    throw failure(
      raw,
      `Unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`,
    );
  const form = readCommandForm(raw, command);
  if (form.form === "exec" ? form.argv.length === 0 : form.command === "") {
    throw failure(raw, "Missing command after HEALTHCHECK CMD");
  }
  return {
    keyword: "HEALTHCHECK",
    ...syntaxOf(raw),
    command: form,
    ...withoutZero({
      interval: readDuration(raw, flags, "interval"),
      timeout: readDuration(raw, flags, "timeout"),
      startPeriod: readDuration(raw, flags, "start-period"),
      startInterval: readDuration(raw, flags, "start-interval"),
      retries: readRetries(raw, flags.text("retries") ?? ""),
    }),
  };
}

const millisecond = 1_000_000;

/** Nanoseconds. */
function readDuration<Name extends string>(
  raw: RawInstruction,
  flags: FlagValues<Name>,
  name: Name,
): number {
  const text = flags.text(name) ?? "";
  const duration = text === "" ? 0 : parseDuration(text);
  if (duration !== undefined && (duration === 0 || duration >= millisecond)) return duration;
  const message =
    duration === undefined
      ? `--${name}=${text} is no duration`
      : `Interval "${name}" cannot be less than 1ms`;
  throw instructionError(raw, "DOCKERFILE_DURATION", message, {
    hint: "write a number with a unit, such as 30s or 1m30s; at least 1ms",
    part: { kind: "text", text: `--${name}=${text}` },
  });
}

function readRetries(raw: RawInstruction, text: string): number {
  if (/^(?:\+?\d+)?$/.test(text) && Number(text) < 2 ** 31) return Number(text);
  const reason = /^-\d+$/.test(text)
    ? `--retries cannot be negative (${text})`
    : `--retries=${text} is no whole number below 2147483648`;
  throw instructionError(raw, "DOCKERFILE_DURATION", reason, {
    hint: "give a whole number that is not negative",
    part: { kind: "text", text: `--retries=${text}` },
  });
}

function splitType(rest: string): { readonly type: string; readonly command: string } {
  const blank = blanks.exec(rest);
  if (blank === null) return { type: rest, command: "" };
  return { type: rest.slice(0, blank.index), command: rest.slice(blank.index + blank[0].length) };
}

/** Zero counts as not given. */
function withoutZero<Name extends string>(
  values: Readonly<Record<Name, number>>,
): { [Key in Name]?: number } {
  const given = Object.entries(values).filter(([, value]) => value !== 0);
  return Object.fromEntries(given) as { [Key in Name]?: number };
}

function failure(raw: RawInstruction, reason: string): Error {
  return instructionError(raw, "DOCKERFILE_ARGUMENTS", reason, {
    hint: `for example: ${example}`,
    part: { kind: "argument", index: 0 },
  });
}
