import { readJsonArray } from "../json-form.ts";
import {
  instructionError,
  keywordOf,
  requireArguments,
  syntaxOf,
  type RawInstruction,
} from "../raw-instruction.ts";
import { refuseFlags } from "../read-flags.ts";
import { splitList } from "../split-words.ts";
import type {
  CmdInstruction,
  EntrypointInstruction,
  ExposeInstruction,
  MaintainerInstruction,
  ShellInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  WorkdirInstruction,
} from "../types.ts";
import { mixedArray, readCommandForm } from "./command-form.ts";

/** @throws DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN */
export function parseCmd(raw: RawInstruction): CmdInstruction {
  refuseFlags(raw);
  return { keyword: "CMD", ...syntaxOf(raw), command: readCommandForm(raw) };
}

/** @throws DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN */
export function parseEntrypoint(raw: RawInstruction): EntrypointInstruction {
  refuseFlags(raw);
  return { keyword: "ENTRYPOINT", ...syntaxOf(raw), command: readCommandForm(raw) };
}

/** The path is the whole rest of the line, blanks included. @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseWorkdir(raw: RawInstruction): WorkdirInstruction {
  requireArguments(raw, "WORKDIR /app");
  refuseFlags(raw);
  return { keyword: "WORKDIR", ...syntaxOf(raw), path: raw.rest };
}

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseUser(raw: RawInstruction): UserInstruction {
  requireArguments(raw, "USER node");
  refuseFlags(raw);
  return { keyword: "USER", ...syntaxOf(raw), user: raw.rest };
}

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseMaintainer(raw: RawInstruction): MaintainerInstruction {
  requireArguments(raw, 'LABEL org.opencontainers.image.authors="me@example.com"');
  refuseFlags(raw);
  return { keyword: "MAINTAINER", ...syntaxOf(raw), author: raw.rest };
}

/** Flags are dropped without a word, as the reference builder does. @throws DOCKERFILE_ARGUMENTS */
export function parseStopsignal(raw: RawInstruction): StopsignalInstruction {
  requireArguments(raw, "STOPSIGNAL SIGTERM");
  return { keyword: "STOPSIGNAL", ...syntaxOf(raw), signal: raw.rest };
}

/** Ports come in the order of their text. @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_FLAG_UNKNOWN */
export function parseExpose(raw: RawInstruction): ExposeInstruction {
  requireArguments(raw, "EXPOSE 8080");
  refuseFlags(raw);
  return { keyword: "EXPOSE", ...syntaxOf(raw), ports: [...splitList(raw.rest)].sort() };
}

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN */
export function parseVolume(raw: RawInstruction): VolumeInstruction {
  const json = readJsonArray(raw.rest);
  if (json.kind === "mixed") throw mixedArray(raw);
  const words = json.kind === "array" ? json.items : splitList(raw.rest);
  const paths = words.map((path) => path.trim());
  if (paths.length === 0) requireArguments({ ...raw, rest: "" }, "VOLUME /data");
  refuseFlags(raw);
  if (!paths.includes("")) return { keyword: "VOLUME", ...syntaxOf(raw), paths };
  throw instructionError(
    raw,
    "DOCKERFILE_ARGUMENTS",
    "VOLUME specified can not be an empty string",
    {
      hint: 'for example: VOLUME ["/data", "/log"]',
    },
  );
}

/** @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN */
export function parseShell(raw: RawInstruction): ShellInstruction {
  refuseFlags(raw);
  const hint = 'for example: SHELL ["/bin/bash", "-c"]';
  const json = readJsonArray(raw.rest);
  if (json.kind === "mixed") throw mixedArray(raw);
  if (raw.rest === "" || (json.kind === "array" && json.items.length === 0)) {
    throw instructionError(
      raw,
      "DOCKERFILE_ARGUMENTS",
      `${keywordOf(raw)} requires at least one argument`,
      { hint },
    );
  }
  if (json.kind === "array") return { keyword: "SHELL", ...syntaxOf(raw), argv: json.items };
  throw instructionError(
    raw,
    "DOCKERFILE_JSON",
    "SHELL requires the arguments to be in JSON form",
    {
      hint,
    },
  );
}
