import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { Argument, Command, Option } from "commander";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { createProgram } from "../src/cli/command-line.ts";

const src = resolve(import.meta.dirname, "../src");
const docs = resolve(import.meta.dirname, "../docs");

describe("docs/errors.md", () => {
  const { declared, warned, raised } = readSources();
  const rows = readErrorRows();

  test("has one row for every code, in the section of its folder", () => {
    const alive = declared.filter(({ code }) => raised.has(code));
    const expected = new Set([...alive, ...warned].map(({ folder, code }) => `${folder} ${code}`));
    expect(expected.size).toBeGreaterThan(100);
    const found = rows.map(({ folder, code }) => `${folder} ${code}`);
    expect(found.sort()).toEqual([...expected].sort());
  });

  test("says of every code what it means and what to do", () => {
    const lacking = rows.filter(({ meaning, remedy }) => meaning === "" || remedy === "");
    expect(lacking).toEqual([]);
  });

  test("every declared code is raised somewhere", () => {
    expect(declared.map(({ code }) => code).filter((code) => !raised.has(code))).toEqual([]);
  });
});

test("docs/cli.md is what the command line declares; UPDATE_GOLDEN=1 rewrites it", () => {
  const path = join(docs, "cli.md");
  const text = describeProgram(
    createProgram({ signal: new AbortController().signal, exitCode: 0 }),
  );
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});

interface Code {
  readonly code: string;
  readonly folder: string;
}

interface SourceCodes {
  /** Members of the unions named `…ErrorCode`. */
  readonly declared: readonly Code[];
  /** Codes of warnings, which have no union. */
  readonly warned: readonly Code[];
  /** String values of expressions that do not only compare. */
  readonly raised: ReadonlySet<string>;
}

function readSources(): SourceCodes {
  const declared: Code[] = [];
  const warned: Code[] = [];
  const raised = new Set<string>();
  const names = readdirSync(src, { recursive: true, encoding: "utf8" });
  for (const name of names.filter((each) => each.endsWith(".ts"))) {
    const path = join(src, name);
    const folder = relative(src, path).split("/")[0] ?? "";
    const visit = (node: ts.Node): void => {
      if (ts.isTypeAliasDeclaration(node) && node.name.text.endsWith("ErrorCode")) {
        declared.push(...literalsOf(node.type).map((code) => ({ code, folder })));
      }
      if (ts.isStringLiteral(node) && !ts.isLiteralTypeNode(node.parent) && !isCompared(node)) {
        raised.add(node.text);
      }
      if (ts.isObjectLiteralExpression(node) && isWarning(node)) {
        const code = textOf(node, "code");
        if (code !== undefined) warned.push({ code, folder });
      }
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2023, true));
  }
  return { declared, warned, raised };
}

function literalsOf(type: ts.TypeNode): string[] {
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(literalsOf);
  return ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) ? [type.literal.text] : [];
}

/** `isTsbuildError(error, "X")`, `error.code === "X"`, `case "X":` and lists to compare with make no error. */
function isCompared({ parent }: ts.StringLiteral): boolean {
  if (ts.isCaseClause(parent) || ts.isArrayLiteralExpression(parent)) return true;
  if (ts.isBinaryExpression(parent)) return /^[!=]==$/.test(parent.operatorToken.getText());
  return ts.isCallExpression(parent) && parent.expression.getText() === "isTsbuildError";
}

/** `{ type: "warning", … }`, and what is given to `warn(…)` and `onWarning?.(…)`. */
function isWarning(node: ts.ObjectLiteralExpression): boolean {
  if (textOf(node, "type") === "warning") return true;
  const { parent } = node;
  return ts.isCallExpression(parent) && /\bwarn$|\bonWarning$/.test(parent.expression.getText());
}

function textOf(node: ts.ObjectLiteralExpression, name: string): string | undefined {
  const property = node.properties
    .filter(ts.isPropertyAssignment)
    .find((each) => each.name.getText() === name);
  if (property === undefined || !ts.isStringLiteral(property.initializer)) return undefined;
  return property.initializer.text;
}

interface ErrorRow extends Code {
  readonly meaning: string;
  readonly remedy: string;
}

function readErrorRows(): ErrorRow[] {
  const rows: ErrorRow[] = [];
  let folder = "";
  for (const line of readFileSync(join(docs, "errors.md"), "utf8").split("\n")) {
    folder = /^## ([\w-]+)$/.exec(line)?.[1] ?? folder;
    const [, first = "", meaning = "", remedy = ""] = line.split("|").map((cell) => cell.trim());
    const code = /^`(\w+)`$/.exec(first)?.[1];
    if (code !== undefined) rows.push({ code, folder, meaning, remedy });
  }
  return rows;
}

function describeProgram(program: Command): string {
  return [
    "# Command line",
    "Written by `test/docs.test.ts` from the declarations in `src/cli/`; do not edit.",
    "`build` is the command when none is named: `tsbuild -t app:1.0 .` Every command takes the options of `tsbuild`\n" +
      "itself too, except `--version`. What may be repeated adds up.",
    ...describeCommand(program),
    ...leavesOf(program).flatMap(describeCommand),
  ]
    .join("\n\n")
    .concat("\n");
}

function leavesOf(command: Command): Command[] {
  return command.commands.flatMap((each) => (each.commands.length > 0 ? leavesOf(each) : [each]));
}

function describeCommand(command: Command): string[] {
  const help = command.createHelp();
  const named = command.registeredArguments.map((each) => [termOf(each), each.description]);
  const options = help
    .visibleOptions(command)
    .filter(({ long }) => command.parent === null || long !== "--help")
    .map((each) => [each.flags, meaningOf(each)]);
  const sentence = command.description().replace(/\.$/, "");
  return [
    `## ${pathOf(command)}`,
    `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`,
    `    ${help.commandUsage(command)}`,
    [
      "| argument or option | meaning |",
      "| --- | --- |",
      ...[...named, ...options].map(([term = "", meaning = ""]) => toRow(term, meaning)),
    ].join("\n"),
  ];
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function termOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function meaningOf(option: Option): string {
  const { description, argChoices = [] } = option;
  const choices = argChoices.map((choice) => `\`${choice}\``).join(", ");
  const told = choices === "" ? description : `${description}: ${choices}`;
  const byDefault = defaultOf(option);
  return byDefault === "" ? told : `${told}; default ${byDefault}`;
}

/** Empty lists of repeatable flags, and the `true` behind a `--no-…`, are no defaults to tell. */
function defaultOf({ defaultValue, envVar }: Option): string {
  const value: unknown = defaultValue;
  return [
    ...(envVar === undefined ? [] : [`\`$${envVar}\``]),
    ...(typeof value === "string" ? [`\`${value}\``] : []),
  ].join(", else ");
}

function toRow(term: string, meaning: string): string {
  const cells = [`\`${term}\``, meaning].map((cell) => cell.replaceAll("|", "\\|"));
  return `| ${cells.join(" | ")} |`;
}
