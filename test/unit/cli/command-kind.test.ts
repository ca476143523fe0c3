import { Command } from "commander";
import { expect, test } from "vitest";
import { kindsOf, noteSteps } from "../../../src/cli/command-kind.ts";
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
    kinds.push(...kindsOf(command));
    throw new Error("enough");
  });
  await expect(program.parseAsync(line, { from: "user" })).rejects.toThrow("enough");
  expect(kinds).toEqual([expected]);
});

test("a build is of a kind for each instruction that runs, or comes from the cache", () => {
  const steps = new Set<string>();
  const shown: string[] = [];
  const listener = noteSteps(steps, (event) => shown.push(event.type));
  const names = ["[internal] load build definition", "[2/4] RUN make", "[a 3/4] COPY --link a b"];
  for (const [index, name] of names.entries())
    listener({ type: "step-started", step: index, name, time: 0 });
  listener({ type: "step-cached", step: 4, name: "[1/4] WORKDIR /a", time: 0 });
  listener({ type: "step-started", step: 5, name: "exporting to image", time: 0 });
  expect(kindsOf(new Command("tsbuild"), steps)).toEqual([
    ...["", "step RUN", "step COPY", "step WORKDIR (cached)"],
  ]);
  expect(shown).toHaveLength(5);
});

test("nothing else of what a Dockerfile says gets into the kind of its build", () => {
  const steps = new Set<string>();
  const listener = noteSteps(steps, () => undefined);
  const names = ["[1/3] WORKDIR\t/1", '[linux/amd64->a] EVIL b 2/3] RUN ["/1"]', "[context a] /1"];
  for (const [index, name] of names.entries())
    listener({ type: "step-started", step: index, name, time: 0 });
  expect(kindsOf(new Command("tsbuild"), steps)).toEqual(["", "step WORKDIR"]);
});
