import type { StageInstruction } from "../../types.ts";
import type { LintRule } from "../types.ts";

const secretWords = new Set([
  "apikey",
  "auth",
  "credential",
  "credentials",
  "key",
  "passwd",
  "password",
  "pword",
  "secret",
  "token",
]);
/** A name with one of these holds no secret itself. */
const harmlessWords = new Set(["public", "file", "version"]);

export const secretsUsedInArgOrEnv: LintRule = {
  name: "SecretsUsedInArgOrEnv",
  description:
    "Secrets come as --mount=type=secret: what ARG and ENV hold, everybody reads in the image",
  url: "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/",
  example: {
    bad: "ARG NPM_TOKEN\nRUN npm ci",
    good: "RUN --mount=type=secret,id=npm_token,env=NPM_TOKEN npm ci",
  },
  onStep({ instruction }, report) {
    for (const { name, value = "" } of pairsOf(instruction)) {
      if (!hasOneOf(secretWords, name) || hasOneOf(harmlessWords, name)) continue;
      const what = `${instruction.keyword} ${JSON.stringify(name)}`;
      report({
        at: instruction,
        word: name,
        // Short ones may stand anywhere in the file, and names of variables are none.
        secrets: value.length < shortestSecret || value.startsWith("$") ? [] : [value],
        message: `Do not use ARG or ENV instructions for sensitive data (${what})`,
      });
    }
  },
};

const shortestSecret = 4;

/** In whatever case, between underscores. */
function hasOneOf(words: ReadonlySet<string>, name: string): boolean {
  return name
    .toLowerCase()
    .split("_")
    .some((word) => words.has(word));
}

function pairsOf(
  instruction: StageInstruction,
): readonly { readonly name: string; readonly value: string | undefined }[] {
  switch (instruction.keyword) {
    case "ARG":
      return instruction.args.map(({ name, defaultValue: value }) => ({ name, value }));
    case "ENV":
      return instruction.pairs.map(({ key: name, value }) => ({ name, value }));
    default:
      return [];
  }
}
