import type { LintRule } from "../types.ts";

export const copyIgnoredFile = {
  name: "CopyIgnoredFile",
  description: "COPY and ADD do not name what the ignore file keeps out of the context",
  url: "https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/",
  example: {
    bad: "# .dockerignore: *.env\nCOPY prod.env /app/",
    good: "# .dockerignore: secrets/\nCOPY prod.env /app/",
  },
  message: (keyword: "COPY" | "ADD", path: string) =>
    `Attempting to ${keyword === "ADD" ? "Add" : "Copy"} file ${JSON.stringify(path)} that is excluded by .dockerignore`,
} satisfies LintRule & { readonly message: unknown };
