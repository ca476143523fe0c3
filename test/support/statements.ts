import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import ts from "typescript";

const project = resolve(import.meta.dirname, "../..");
const tests = join(project, "test");
const goldens = join(project, "fixtures/dockerfiles");

/** One numbered statement of a compatibility document in docs/spec. */
export interface Statement {
  /** `3.17`, or with the letter of its document `R3.17`. */
  readonly number: string;
  readonly text: string;
  /** What stands behind `Error:`: texts that an error's message contains. */
  readonly errorTexts: readonly string[];
}

/** A test, or a golden case, that carries a statement's number. */
export interface Evidence {
  /** File or case folder, from the project's root. */
  readonly file: string;
  readonly title: string;
}

/** Statements in the order of the document: lines that begin with `- N.M` or `- RN.M`. */
export function readStatements(document: string): Statement[] {
  const text = readFileSync(join(project, document), "utf8");
  return Array.from(text.matchAll(/^- ([A-Z]?\d+\.\d+) (.*)$/gm), ([, number = "", body = ""]) => ({
    number,
    text: body,
    errorTexts: errorTextsOf(body),
  }));
}

/** Code spans that follow `Error:` or `Errors:` up to the end of the sentence's parenthesis or the next prose. */
function errorTextsOf(text: string): string[] {
  const found: string[] = [];
  for (const [, list = ""] of text.matchAll(
    /Errors?: ((?:(?:``.+?``|`[^`]+`)(?:[,/ ]|or|and)*)+)/g,
  )) {
    for (const [, double, single] of list.matchAll(/``\s?(.+?)\s?``|`([^`]+)`/g)) {
      found.push(double ?? single ?? "");
    }
  }
  return found;
}

/**
 * Which tests name which statement. A test names one by `[3.17]` or `[3.17, R3.18]` in its title (any string literal of
 * a test file counts, so that tables of cases can carry numbers); a golden case by `statements` in its options.json.
 */
export function findEvidence(): Map<string, Evidence[]> {
  const found = new Map<string, Evidence[]>();
  const add = (number: string, evidence: Evidence): void => {
    found.set(number, [...(found.get(number) ?? []), evidence]);
  };
  for (const { file, text } of testLiterals()) {
    for (const number of numbersIn(text)) add(number, { file, title: withoutNumbers(text) });
  }
  for (const { name, statements } of goldenStatements()) {
    for (const number of statements) {
      add(number, { file: `fixtures/dockerfiles/${name}`, title: name });
    }
  }
  return found;
}

/**
 * Texts that some test expects of an error: string literals, and the messages that golden cases record. An ellipsis in
 * a text of the document stands for anything.
 */
export function findUnassertedTexts(statement: Statement, asserted: readonly string[]): string[] {
  return statement.errorTexts.filter((text) => {
    const pattern = new RegExp(text.split("…").map(escapeRegExp).join(".*"), "s");
    return !asserted.some((literal) => pattern.test(literal));
  });
}

/** What `findUnassertedTexts` looks through. */
export function assertedTexts(): string[] {
  const messages = readdirSync(goldens)
    .map((name) => join(goldens, name, "error.json"))
    .filter((path) => existsSync(path))
    .map(
      (path) => (JSON.parse(readFileSync(path, "utf8")) as { readonly message: string }).message,
    );
  return [...messages, ...testLiterals().map(({ text }) => text)];
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** String literals of all test files, comments and code left out. */
export function testLiterals(): { readonly file: string; readonly text: string }[] {
  const names = readdirSync(tests, { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".test.ts") || name.endsWith("-contract.ts"))
    .sort()
    .flatMap((name) => {
      const path = join(tests, name);
      const file = relative(project, path);
      return literalsOf(path).map((text) => ({ file, text }));
    });
}

function literalsOf(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) found.push(node.text);
    else if (ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      found.push(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const tag = /\[([A-Z]?\d+\.\d+(?:, [A-Z]?\d+\.\d+)*)\]/g;

function numbersIn(text: string): string[] {
  return [...text.matchAll(tag)].flatMap(([, list = ""]) => list.split(", "));
}

function withoutNumbers(text: string): string {
  return text.replace(tag, "").replace(/\s+/g, " ").trim();
}

function goldenStatements(): { readonly name: string; readonly statements: readonly string[] }[] {
  return readdirSync(goldens)
    .sort()
    .map((name) => ({ name, statements: statementsOfCase(join(goldens, name)) }));
}

/** The statements that a golden case stands for. */
export function statementsOfCase(folder: string): readonly string[] {
  const path = join(folder, "options.json");
  if (!existsSync(path)) return [];
  const { statements } = JSON.parse(readFileSync(path, "utf8")) as {
    readonly statements?: readonly string[];
  };
  return statements ?? [];
}
