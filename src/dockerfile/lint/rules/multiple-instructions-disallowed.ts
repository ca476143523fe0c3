import type { LintRule } from "../types.ts";

export const multipleInstructionsDisallowed = {
  name: "MultipleInstructionsDisallowed",
  description: "A stage has one CMD, ENTRYPOINT and HEALTHCHECK at most: only the last one counts",
  url: "https://docs.docker.com/go/dockerfile/rule/multiple-instructions-disallowed/",
  example: {
    bad: 'CMD ["npm", "test"]\nCMD ["npm", "start"]',
    good: 'CMD ["npm", "start"]',
  },
  message: (keyword: string) =>
    `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
} satisfies LintRule & { readonly message: unknown };
