import type { LintRule } from "../types.ts";

export const exposeInvalidFormat = {
  name: "ExposeInvalidFormat",
  description: "EXPOSE names ports of the container only, without an address or a port of the host",
  url: "https://docs.docker.com/go/dockerfile/rule/expose-invalid-format/",
  example: { bad: "EXPOSE 8080:80", good: "EXPOSE 80" },
  message: (port: string) =>
    `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
} satisfies LintRule & { readonly message: unknown };
