import fc from "fast-check";
import { expect, test } from "vitest";
import { explainPath, parseIgnoreFile } from "../../src/context/index.ts";

/** The definition, as slow as it likes: every ancestor against every rule, the last match decides. */
function isExcluded(rules: readonly string[], path: string): boolean {
  const parts = path.split("/");
  let excluded = false;
  for (const rule of rules) {
    const pattern = rule.replace(/^!/, "");
    const hit = parts.some((_, index) => matches(pattern, parts.slice(0, index + 1)));
    if (hit) excluded = !rule.startsWith("!");
  }
  return excluded;
}

function matches(pattern: string, path: readonly string[]): boolean {
  if (pattern === "**") return true;
  return matchParts(pattern.split("/"), path);
}

function matchParts(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  if (first !== "**")
    return path[0] !== undefined && matchName(first, path[0]) && matchParts(rest, path.slice(1));
  if (rest.length === 0) return path.length > 0;
  return path.some((_, index) => matchParts(rest, path.slice(index)));
}

function matchName(pattern: string, name: string): boolean {
  if (pattern === "") return name === "";
  if (pattern[0] === "*")
    return [...`${name}.`].some((_, index) => matchName(pattern.slice(1), name.slice(index)));
  if (pattern[0] === "\\")
    return name[0] === pattern[1] && name !== "" && matchName(pattern.slice(2), name.slice(1));
  if (pattern[0] === "[") {
    const end = pattern.indexOf("]");
    const [low = "", high = low] = pattern.slice(1, end).split("-");
    const isIn = name !== "" && name.charAt(0) >= low && name.charAt(0) <= high;
    return isIn && matchName(pattern.slice(end + 1), name.slice(1));
  }
  return (
    name !== "" &&
    (pattern[0] === "?" || pattern[0] === name[0]) &&
    matchName(pattern.slice(1), name.slice(1))
  );
}

const name = fc.constantFrom("a", "b", "ab", "a.js", "b.js", ".js", "x.min.js", "*b", "a.js.b");
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const component = fc.constantFrom(
  ...["a", "b", "ab", "a.js", "*", "?", "*.js", "*.min.js", "*.b", "a*", "?b"],
  ...["[a]b", "[a-b].js", "*[b-x]*", "\\*b", "\\a*"],
);
const pattern = fc
  .array(
    fc.oneof({ weight: 4, arbitrary: component }, { weight: 1, arbitrary: fc.constant("**") }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((parts) => parts.join("/"))
  // `a/**/**` differs by design of the reference, which eats one slash only.
  .filter((text) => !text.includes("**/**"));
const rule = fc
  .tuple(fc.boolean(), pattern)
  .map(([exception, text]) => (exception ? `!${text}` : text));

test("the index over many rules answers as the definition does [5.5, 5.6, 5.7, 5.8, 5.9]", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 12 }),
      fc.array(path, { maxLength: 6 }),
      (rules, paths) => {
        const compiled = parseIgnoreFile(rules.join("\n"), "x");
        for (const one of paths)
          expect([one, compiled.match(one) !== undefined]).toEqual([one, isExcluded(rules, one)]);
      },
    ),
    { numRuns: 400 },
  );
});

test("the last rule that an explanation names is the one that decides", () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), path, (rules, one) => {
      const compiled = parseIgnoreFile(rules.join("\n"), "x");
      const last = explainPath(compiled, one).at(-1);
      const decided = last?.isException === false ? last.rule.line : undefined;
      expect(compiled.match(one)?.line).toBe(decided);
    }),
  );
});

test("a directory that can be skipped holds nothing that is not excluded", () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), path, path, (rules, directory, below) => {
      const compiled = parseIgnoreFile(rules.join("\n"), "x");
      if (!compiled.canSkipDirectory(directory)) return;
      expect(compiled.match(`${directory}/${below}`)).toBeDefined();
    }),
    { numRuns: 400 },
  );
});

test("names judged in their directory are judged as their paths are", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 12 }),
      fc.oneof(fc.constant(""), path),
      // More names than there are, so that some stand behind others that end alike.
      fc.array(name, { maxLength: 12 }),
      (rules, directory, names) => {
        const compiled = parseIgnoreFile(rules.join("\n"), "x");
        const judge = compiled.inside(directory);
        for (const one of names) {
          const whole = directory === "" ? one : `${directory}/${one}`;
          const verdict = judge(one);
          expect([whole, verdict === "included"]).toEqual([whole, !isExcluded(rules, whole)]);
          expect([whole, verdict === "excluded"]).toEqual([
            whole,
            compiled.canSkipDirectory(whole),
          ]);
        }
      },
    ),
    { numRuns: 400 },
  );
});
