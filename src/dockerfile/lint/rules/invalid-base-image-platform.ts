import { formatPlatform, normalizePlatform, type Platform } from "../../../core/index.ts";
import type { LintRule } from "../types.ts";

export const invalidBaseImagePlatform = {
  name: "InvalidBaseImagePlatform",
  description: "A base image is made for the platform that is built",
  example: {
    bad: "FROM --platform=$BUILDPLATFORM arm64v8/debian:12",
    good: "FROM --platform=$BUILDPLATFORM debian:12",
  },
  message: (image: {
    readonly name: string;
    readonly actual: Platform;
    readonly expected: Platform;
  }) =>
    `Base image ${image.name} was pulled with platform "${format(image.actual)}", ` +
    `expected "${format(image.expected)}" for current build`,
} satisfies LintRule & { readonly message: unknown };

function format(platform: Platform): string {
  return formatPlatform(normalizePlatform(platform));
}
