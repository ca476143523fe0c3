import type { LintRule } from "../types.ts";

/** URLs, git repositories, archives, and what could be any of them. */
const onlyAdd =
  /^\w+:\/\/|^[\w.-]+@[\w.-]+:|\.git(?:#|$)|\.(?:tar|tgz|tbz2?|txz|tzst|gz|bz2|xz|zst)\b|[$*?[]/i;

export const addWhereCopyDoes: LintRule = {
  name: "Tsbuild/AddWhereCopyDoes",
  description: "ADD is for URLs, repositories and archives; files of the context come by COPY",
  experimental: true,
  example: { bad: "ADD app.py /app/", good: "COPY app.py /app/" },
  onStep({ instruction }, report) {
    if (instruction.keyword !== "ADD" || instruction.unpack !== undefined) return;
    const { sources } = instruction;
    if (sources.length === 0 || sources.some((source) => onlyAdd.test(source))) return;
    report({
      at: instruction,
      message: `ADD ${sources.join(" ")} does what COPY does, unless it happens to be an archive`,
      hint: "write COPY, which never unpacks and never downloads",
    });
  },
};
