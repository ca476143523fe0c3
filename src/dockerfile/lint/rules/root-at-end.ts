import type { StageSyntax, UserInstruction } from "../../types.ts";
import type { LintRule } from "../types.ts";

export const rootAtEnd: LintRule = {
  name: "Tsbuild/RootAtEnd",
  description: "The last stage ends with a USER that is not root",
  experimental: true,
  example: {
    bad: 'FROM node:22\nCMD ["node", "server.js"]',
    good: 'FROM node:22\nUSER node\nCMD ["node", "server.js"]',
  },
  onFile({ stages }, report) {
    const last = stages.at(-1);
    if (last === undefined) return;
    const user = lastUser(last, stages);
    if (user !== undefined && !/^(?:root|0)(?::|$)/.test(user.user)) return;
    report({
      at: user ?? last.from,
      message: `The image's programs run as root${user === undefined ? ", unless the base image says otherwise" : ""}`,
      hint: "add USER with a name or number that the base image knows, before CMD",
    });
  },
};

/** Of the stage, or of the stages of this file that it is built on. */
function lastUser(stage: StageSyntax, stages: readonly StageSyntax[]): UserInstruction | undefined {
  for (let at: StageSyntax | undefined = stage; at !== undefined;) {
    const own = at.instructions.findLast((instruction) => instruction.keyword === "USER");
    if (own !== undefined) return own;
    const { image }: StageSyntax["from"] = at.from;
    at = stages.slice(0, stages.indexOf(at)).findLast(({ name }) => name === image);
  }
  return undefined;
}
