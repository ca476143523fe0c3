import type { LintRule } from "../types.ts";

export const exposeProtoCasing = {
  name: "ExposeProtoCasing",
  description: "The protocol of a port is written in lower case",
  url: "https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/",
  example: { bad: "EXPOSE 80/TCP", good: "EXPOSE 80/tcp" },
  message: (port: string) => `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
} satisfies LintRule & { readonly message: unknown };
