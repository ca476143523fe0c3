import { readFlags } from "../read-flags.ts";
import { instructionError, syntaxOf, type RawInstruction } from "../raw-instruction.ts";
import type { RunInstruction } from "../types.ts";
import { readCommandForm } from "./command-form.ts";

/**
 * `RUN [--mount=…]… [--network=…] [--security=…] command`.
 * @throws DOCKERFILE_ARGUMENTS for an empty vector, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN and its kin
 */
export function parseRun(raw: RawInstruction): RunInstruction {
  const flags = readFlags(raw, { mount: "list", network: "text", security: "text" });
  const command = readCommandForm(raw);
  if (command.form === "exec" && command.argv.length === 0) {
    throw instructionError(raw, "DOCKERFILE_ARGUMENTS", "read RUN []: there is nothing to run", {
      hint: 'for example: RUN ["npm", "ci"]',
    });
  }
  const network = flags.text("network");
  const security = flags.text("security");
  checkChoice(raw, "network", network, ["default", "none", "host"]);
  checkChoice(raw, "security", security, ["sandbox", "insecure"]);
  return {
    keyword: "RUN",
    ...syntaxOf(raw),
    command,
    heredocs: raw.heredocs,
    mounts: flags.list("mount"),
    ...(network === undefined ? {} : { network }),
    ...(security === undefined ? {} : { security }),
  };
}

function checkChoice(
  raw: RawInstruction,
  name: string,
  value: string | undefined,
  choices: readonly string[],
): void {
  if (value === undefined || choices.includes(value)) return;
  throw instructionError(raw, "DOCKERFILE_FLAG_VALUE", `read --${name}=${value}`, {
    hint: `choose one of ${choices.join(", ")}`,
    part: { kind: "flag", index: raw.flags.indexOf(`--${name}=${value}`) },
  });
}
