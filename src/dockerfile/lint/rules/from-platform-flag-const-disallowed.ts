import type { LintRule } from "../types.ts";

export const fromPlatformFlagConstDisallowed = {
  name: "FromPlatformFlagConstDisallowed",
  description: "FROM --platform holds a variable, unless the stage's name tells its platform",
  url: "https://docs.docker.com/go/dockerfile/rule/from-platform-flag-const-disallowed/",
  example: {
    bad: "FROM --platform=linux/amd64 debian:12",
    good: "FROM --platform=$BUILDPLATFORM debian:12",
  },
  message: (platform: string) =>
    `FROM --platform flag should not use constant value ${JSON.stringify(platform)}`,
} satisfies LintRule & { readonly message: unknown };
