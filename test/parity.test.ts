import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parityNotes } from "./support/parity-notes.ts";
import {
  assertedTexts,
  findEvidence,
  findUnassertedTexts,
  readStatements,
  type Evidence,
  type Statement,
} from "./support/statements.ts";

const path = resolve(import.meta.dirname, "../docs/parity.md");

describe("docs/parity.md", () => {
  const frontend = readStatements("docs/spec/dockerfile.md");
  const registries = readStatements("docs/spec/registry.md");
  const evidence = findEvidence();

  test("is what the names of the tests say; UPDATE_GOLDEN=1 rewrites it", () => {
    const text = [
      heading,
      describeParity(frontend, evidence),
      registryHeading,
      describeParity(registries, evidence),
    ].join("");
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("every statement is shown by a test, or a note says why not", () => {
    expect(readFileSync(path, "utf8")).not.toContain("| not shown |");
  });

  test("no test and no note carries a number that does not exist", () => {
    const known = new Set([...frontend, ...registries].map(({ number }) => number));
    const named = [...evidence.keys(), ...Object.keys(parityNotes)];
    expect(named.filter((number) => !known.has(number))).toEqual([]);
  });
});

function describeParity(
  statements: readonly Statement[],
  evidence: ReadonlyMap<string, readonly Evidence[]>,
): string {
  const asserted = assertedTexts();
  const rows = statements.map((statement) =>
    describeRow(statement, {
      evidence: evidence.get(statement.number) ?? [],
      missing: findUnassertedTexts(statement, asserted),
    }),
  );
  return `${rows.join("\n")}\n`;
}

const heading = `# Parity with the reference frontend

Generated from the names of the tests (\`UPDATE_GOLDEN=1 npx vitest run test/parity.test.ts\`); not edited by hand. The statements are those of
[spec/dockerfile.md](spec/dockerfile.md). *pass*: the tests named here show it, and the suite is green. *deviates* and *not applicable* say why.

| statement | state | shown by, or why |
| --- | --- | --- |
`;

const registryHeading = `
## Registries

The statements of [spec/registry.md](spec/registry.md), what clients of registries do.

| statement | state | shown by, or why |
| --- | --- | --- |
`;

function describeRow(
  { number }: Statement,
  found: { readonly evidence: readonly Evidence[]; readonly missing: readonly string[] },
): string {
  const note = parityNotes[number];
  const isShown = found.evidence.length > 0 && found.missing.length === 0;
  const state = note?.state ?? (isShown ? "pass" : "not shown");
  const cells = [
    note?.why,
    ...found.missing.map((text) => `no test expects the text "${text}"`),
    ...found.evidence.map(describeEvidence),
  ];
  const cell = cells.filter((part) => part !== undefined).join("<br>");
  return `| ${number} | ${state} | ${cell.replaceAll("|", "\\|")} |`;
}

function describeEvidence({ file, title }: Evidence): string {
  if (file.endsWith(title)) return `\`${file}\``;
  return `\`${file}\`: ${title.replace(/[<>*_`[\]]/g, "\\$&")}`;
}
