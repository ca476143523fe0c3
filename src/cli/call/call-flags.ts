import { Option } from "commander";
import { parseCall, type Call } from "../../api/index.ts";

export interface CallFlags {
  readonly call: string;
  readonly check?: boolean;
  readonly format?: "text" | "json";
}

/** `--call`: what to do with a Dockerfile. */
export function callOption(): Option {
  const methods = "build, check, outline, targets or subrequests.describe";
  return new Option(
    "--call <method>",
    `what to do: ${methods}, with ,format=json and ,ignorestatus behind it`,
  ).default("build");
}

/** `--check`, short for `--call=check`. */
export function checkOption(): Option {
  return new Option("--check", "look for mistakes in the Dockerfile instead of building");
}

/** `--format`, for all that `--call` and `--dry-run` print. */
export function callFormatOption(): Option {
  return new Option("--format <format>", "form of what --call or --dry-run prints").choices([
    "text",
    "json",
  ]);
}

/** @throws USAGE */
export function readCallFlags({ call: text, check = false, format }: CallFlags): Call {
  const call = parseCall(text);
  return {
    ...call,
    ...(check ? { method: "check" } : {}),
    ...(format === undefined ? {} : { format }),
  };
}
