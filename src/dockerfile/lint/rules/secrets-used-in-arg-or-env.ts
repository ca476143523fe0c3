import type { StageInstruction } from "../../types.ts";
import type { LintRule } from "../types.ts";

const secretWord =
  /(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
/** A name with one of these holds no secret itself. */
const harmlessWord = /(?:^|_)(?:public|file|version)(?:_|$)/i;

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
      if (!secretWord.test(name) || harmlessWord.test(name)) continue;
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
