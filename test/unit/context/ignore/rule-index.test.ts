import { expect, test } from "vitest";
import { compilePattern } from "../../../../src/context/ignore/compile-pattern.ts";
import { RuleIndex } from "../../../../src/context/ignore/rule-index.ts";

const names = ["a", "b", "ab", "axb", "xb", "c.js"];
const paths = [
  ...names,
  ...names.flatMap((name) => names.map((other) => `${name}/${other}`)),
  ...names.flatMap((name) => [`a/x/y/${name}`, `x/${name}/b`, `${name}/x/c.js`]),
];

test.each([
  ...["a**b", "a/**b", "a/**/b", "a**/b", "a**b/b", "a/**/x/**/b", "**/a*/b", "?/**/b"],
  ...["a[^x]b", "[^x]b", "x[^q]b", "a/**/*.js", "a*/**/c.js", "a/**/\\b", "*/**/b**"],
])("%s is found by its ends wherever its expression matches", (pattern) => {
  const compiled = compilePattern(pattern);
  if (compiled.kind !== "expression") throw new Error(`${pattern} is ${compiled.kind}`);
  const index = new RuleIndex([compiled]);
  for (const path of paths)
    expect([path, index.find(path, -1)]).toEqual([path, compiled.expression.test(path) ? 0 : -1]);
});

test("of ten thousand rules with ** inside, a path is compared with its own", () => {
  const tests = Array.from({ length: 10_000 }, (_, number) =>
    compilePattern(
      number % 2 === 0 ? `src/**/gen-${String(number)}.js` : `dir-${String(number)}/**/out*`,
    ),
  );
  let compared = 0;
  for (const compiled of tests) {
    if (compiled.kind !== "expression") throw new Error("with wildcards");
    const { expression } = compiled;
    const original = expression.test.bind(expression);
    expression.test = (text) => {
      compared++;
      return original(text);
    };
  }
  const index = new RuleIndex(tests);
  expect(index.find("src/a/b/gen-42.js", -1)).toBe(42);
  expect(index.find("dir-7/a/out-1", -1)).toBe(7);
  expect(index.find("src/a/b/other.js", -1)).toBe(-1);
  expect(compared).toBeLessThan(10);
});
