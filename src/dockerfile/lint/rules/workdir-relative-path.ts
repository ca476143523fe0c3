import type { LintRule } from "../types.ts";

export const workdirRelativePath = {
  name: "WorkdirRelativePath",
  description:
    "The first WORKDIR is an absolute path, so that it does not depend on the base image",
  url: "https://docs.docker.com/go/dockerfile/rule/workdir-relative-path/",
  example: { bad: "FROM node:22\nWORKDIR app", good: "FROM node:22\nWORKDIR /app" },
  message: (path: string) =>
    `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`,
} satisfies LintRule & { readonly message: unknown };
