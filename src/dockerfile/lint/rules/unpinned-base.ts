import type { LintRule } from "../types.ts";

export const unpinnedBase: LintRule = {
  name: "Tsbuild/UnpinnedBase",
  description:
    "FROM says which version it wants: without a tag, and with latest, the next build may get another one",
  experimental: true,
  example: { bad: "FROM node", good: "FROM node:22" },
  onFile({ stages }, report) {
    const names = new Set<string>(["scratch"]);
    for (const { from, name } of stages) {
      const { image } = from;
      const isOpen = !/[@$]/.test(image) && !/:[^/:]+$/.test(image.replace(/:latest$/, ""));
      if (isOpen && !names.has(image)) {
        report({
          at: from,
          message: `${image} is whatever the newest version happens to be`,
          hint: `name a version: FROM ${image.replace(/:latest$/, "")}:VERSION`,
        });
      }
      if (name !== undefined) names.add(name);
    }
  },
};
