import type { StageInstruction } from "../../types.ts";
import type { LintRule } from "../types.ts";

/** Forms that nothing but a credential has. */
const credentials: Readonly<Record<string, RegExp>> = {
  "an AWS access key": /\b(?:AKIA|ASIA)(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b/g,
  "a GitHub token": /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})/g,
  "a GitLab token": /\bglpat-[\w-]{20,}/g,
  "an npm token": /\bnpm_[A-Za-z0-9]{36}\b/g,
  "a Slack token": /\bxox[abprs]-[\w-]{10,}/g,
  "a private key": /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/g,
  "a password in a URL": /\bhttps?:\/\/[^\s:/@$"']+:[^\s:/@$"'{}<>]+@[\w.-]+/g,
};

export const secretInText: LintRule = {
  name: "Tsbuild/SecretInText",
  description: "The Dockerfile holds no credentials: its text is part of the image's history",
  example: {
    bad: "RUN curl https://me:hunter2@example.com/x",
    good: "RUN --mount=type=secret,id=netrc,target=/root/.netrc curl https://example.com/x",
  },
  onStep({ instruction }, report) {
    const text = textOf(instruction);
    for (const [what, pattern] of Object.entries(credentials)) {
      const found = [...text.matchAll(pattern)];
      if (found.length === 0) continue;
      report({
        at: instruction,
        secrets: secretsOf(text, found),
        message: `${instruction.keyword} holds ${what}, which everybody can read in the image's history`,
        hint: "withdraw it where it was issued, and hand the new one over with RUN --mount=type=secret",
      });
    }
  },
};

/** Of keys their lines, from where the first one begins. */
function secretsOf(text: string, found: readonly RegExpExecArray[]): readonly string[] {
  const [first] = found;
  const isKey = first?.[0].startsWith("-----") === true;
  if (isKey) return text.slice(first.index).match(/[A-Za-z0-9+/=]{16,}/g) ?? [];
  return found.map(([token]) => token);
}

function textOf(instruction: StageInstruction): string {
  const bodies = "heredocs" in instruction ? instruction.heredocs : [];
  return [instruction.original, ...bodies.map(({ content }) => content)].join("\n");
}
