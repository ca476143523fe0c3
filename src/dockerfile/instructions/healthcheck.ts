import { blanks } from "../characters.ts";
import { readFlags } from "../read-flags.ts";
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
 * `HEALTHCHECK NONE`, or `HEALTHCHECK [flags] CMD command`. Durations are checked where they are read as numbers.
 * @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN and its kin
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
  const given = {
    interval: flags.text("interval"),
    timeout: flags.text("timeout"),
    startPeriod: flags.text("start-period"),
    startInterval: flags.text("start-interval"),
    retries: flags.text("retries"),
  };
  return { keyword: "HEALTHCHECK", ...syntaxOf(raw), command: form, ...withoutEmpty(given) };
}

function splitType(rest: string): { readonly type: string; readonly command: string } {
  const blank = blanks.exec(rest);
  if (blank === null) return { type: rest, command: "" };
  return { type: rest.slice(0, blank.index), command: rest.slice(blank.index + blank[0].length) };
}

function withoutEmpty<Name extends string>(
  values: Readonly<Record<Name, string | undefined>>,
): { [Key in Name]?: string } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(given) as { [Key in Name]?: string };
}

function failure(raw: RawInstruction, reason: string): Error {
  return instructionError(raw, "DOCKERFILE_ARGUMENTS", reason, {
    hint: `for example: ${example}`,
    part: { kind: "argument", index: 0 },
  });
}
