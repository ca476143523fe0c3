import { readFlags } from "../read-flags.ts";
import { instructionError, syntaxOf, type RawInstruction } from "../raw-instruction.ts";
import type { RunInstruction } from "../types.ts";
import { readCommandForm } from "./command-form.ts";

/**
 * `RUN [--mount=…]… [--network=…] [--security=…] command`.
 * An empty vector is told when the step is planned: in a stage that nobody needs it does no harm.
 * @throws DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN and its kin
 */
export function parseRun(raw: RawInstruction): RunInstruction {
  const flags = readFlags(raw, {
    mount: "list",
    network: "text",
    security: "text",
    device: "list",
  });
  refuseDevices(raw);
  const command = readCommandForm(raw);
  const network = flags.text("network");
  const security = flags.text("security");
  checkChoice(raw, {
    name: "network",
    value: network,
    choices: ["default", "none", "host"],
    refuse: (told) => `invalid network mode ${told}`,
  });
  checkChoice(raw, {
    name: "security",
    value: security,
    choices: ["sandbox", "insecure"],
    refuse: (told) => `security ${told} is not valid`,
  });
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

/** A flag of the reference's experimental frontend: known, and not to be had. */
function refuseDevices(raw: RawInstruction): void {
  const index = raw.flags.findIndex((flag) => /^--device(?:=|$)/.test(flag));
  if (index < 0) return;
  throw instructionError(
    raw,
    "DOCKERFILE_FLAG_UNKNOWN",
    "device feature is only supported in Dockerfile frontend 1.14.0-labs or later",
    {
      hint: "remove --device; a RUN with --security=insecure sees the devices of the host",
      part: { kind: "flag", index },
    },
  );
}

function checkChoice(
  raw: RawInstruction,
  flag: {
    readonly name: "network" | "security";
    readonly value: string | undefined;
    readonly choices: readonly string[];
    readonly refuse: (told: string) => string;
  },
): void {
  const { name, value, choices, refuse } = flag;
  if (value === undefined || choices.includes(value)) return;
  throw instructionError(raw, "DOCKERFILE_FLAG_VALUE", refuse(JSON.stringify(value)), {
    hint: `choose one of ${choices.join(", ")}`,
    part: { kind: "flag", index: raw.flags.indexOf(`--${name}=${value}`) },
  });
}
