import { expect, test } from "vitest";
import { kindOf } from "../../../src/cli/command-kind.ts";
import { createProgram } from "../../../src/cli/command-line.ts";

test.each([
  [["-t", "a:1", "."], "build --tag"],
  [["build", "--tag=b", "--tag", "c", "-q", "elsewhere"], "build --quiet --tag"],
  [["--root", "/r", "build", "."], "build"],
  [["push", "--root", "/r", "a"], "push --root"],
  [["image", "ls"], "image ls"],
  [["run", "--rm", "a", "sh", "--quiet"], "run --rm"],
])("%j is of the kind %s", async (line, expected) => {
  const program = createProgram({ signal: new AbortController().signal, exitCode: 0 });
  const kinds: string[] = [];
  program.hook("preAction", (_program, command) => {
    kinds.push(kindOf(command));
    throw new Error("enough");
  });
  await expect(program.parseAsync(line, { from: "user" })).rejects.toThrow("enough");
  expect(kinds).toEqual([expected]);
});
