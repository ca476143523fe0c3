import type { StageInstruction } from "../../types.ts";
import type { LintRule } from "../types.ts";

interface Credential {
  readonly what: string;
  /** Texts of which one is in each: where there is none, the regular expression need not be made. */
  readonly signs: readonly string[];
  readonly pattern: RegExp;
}

/** Forms that nothing but a credential has. */
const credentials: readonly Credential[] = [
  {
    what: "an AWS access key",
    signs: ["AKIA", "ASIA"],
    pattern: /\b(?:AKIA|ASIA)(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b/g,
  },
  {
    what: "a GitHub token",
    signs: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})/g,
  },
  { what: "a GitLab token", signs: ["glpat-"], pattern: /\bglpat-[\w-]{20,}/g },
  { what: "an npm token", signs: ["npm_"], pattern: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { what: "a Slack token", signs: ["xox"], pattern: /\bxox[abprs]-[\w-]{10,}/g },
  {
    what: "a private key",
    signs: ["-----BEGIN "],
    pattern: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/g,
  },
  {
    what: "a password in a URL",
    signs: ["http://", "https://"],
    pattern: /\bhttps?:\/\/[^\s:/@$"']+:[^\s:/@$"'{}<>]+@[\w.-]+/g,
  },
];

export const secretInText: LintRule = {
  name: "Tsbuild/SecretInText",
  description: "The Dockerfile holds no credentials: its text is part of the image's history",
  example: {
    bad: "RUN curl https://me:hunter2@example.com/x",
    good: "RUN --mount=type=secret,id=netrc,target=/root/.netrc curl https://example.com/x",
  },
  onStep({ instruction }, report) {
    const text = textOf(instruction);
    for (const { what, signs, pattern } of credentials) {
      if (!signs.some((sign) => text.includes(sign))) continue;
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
