import type { LintRule } from "../types.ts";

export const invalidDefaultArgInFrom = {
  name: "InvalidDefaultArgInFrom",
  description: "FROM names an image even when no build argument is given",
  url: "https://docs.docker.com/go/dockerfile/rule/invalid-default-arg-in-from/",
  example: { bad: "ARG TAG\nFROM debian:${TAG}", good: "ARG TAG=12\nFROM debian:${TAG}" },
  message: (image: string) =>
    `Default value for ARG ${image} results in empty or invalid base image name`,
} satisfies LintRule & { readonly message: unknown };
