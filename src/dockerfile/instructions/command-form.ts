import { readJsonArray } from "../json-form.ts";
import { instructionError, keywordOf, type RawInstruction } from "../raw-instruction.ts";
import type { CommandForm } from "../types.ts";

/**
 * JSON form is an argument vector; everything else is a shell command, exactly as written.
 * @throws DOCKERFILE_JSON for an array that holds something else than strings
 */
export function readCommandForm(raw: RawInstruction, text: string = raw.rest): CommandForm {
  const json = readJsonArray(text);
  switch (json.kind) {
    case "array":
      return { form: "exec", argv: json.items };
    case "none":
      return { form: "shell", command: text };
    case "mixed":
      throw mixedArray(raw, text);
  }
}

/** @throws DOCKERFILE_JSON */
export function mixedArray(raw: RawInstruction, text: string = raw.rest): Error {
  return instructionError(
    raw,
    "DOCKERFILE_JSON",
    `read the JSON array of ${keywordOf(raw)}: arrays must be comprised of strings only`,
    {
      hint: 'put each item between double quotes: ["sleep", "10"]',
      part: { kind: "text", text },
    },
  );
}
