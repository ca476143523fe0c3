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
    for (const name of namesOf(instruction)) {
      if (!secretWord.test(name) || harmlessWord.test(name)) continue;
      const what = `${instruction.keyword} ${JSON.stringify(name)}`;
      report({
        at: instruction,
        word: name,
        message: `Do not use ARG or ENV instructions for sensitive data (${what})`,
      });
    }
  },
};

function namesOf(instruction: StageInstruction): readonly string[] {
  switch (instruction.keyword) {
    case "ARG":
      return instruction.args.map(({ name }) => name);
    case "ENV":
      return instruction.pairs.map(({ key }) => key);
    default:
      return [];
  }
}
