import { expect, test } from "vitest";
import { createProgram } from "../../../src/cli/command-line.ts";

test("help tells defaults, but not that a list begins empty", () => {
  const program = createProgram({ signal: new AbortController().signal, exitCode: 0 });
  const build = program.commands.find((command) => command.name() === "build");
  const help = build?.helpInformation() ?? "";
  expect(help).toMatch(/default: "auto"/);
  expect(help).toContain("--secret <spec>");
  expect(help).not.toContain("[])");
});
