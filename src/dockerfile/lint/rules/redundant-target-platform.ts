import type { LintRule } from "../types.ts";

export const redundantTargetPlatform = {
  name: "RedundantTargetPlatform",
  description: "FROM does not ask for $TARGETPLATFORM, which it gets anyway",
  url: "https://docs.docker.com/go/dockerfile/rule/redundant-target-platform/",
  example: { bad: "FROM --platform=$TARGETPLATFORM debian:12", good: "FROM debian:12" },
  message: (written: string) =>
    `Setting platform to predefined ${written} in FROM is redundant as this is the default behavior`,
} satisfies LintRule & { readonly message: unknown };
