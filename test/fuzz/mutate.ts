import type { Random } from "./random.ts";
import { tokens } from "./tokens.ts";

/** The text with a few random changes; parts of `other` may get into it. */
export function mutate(text: string, other: string, random: Random): string {
  let result = text;
  for (let left = 1 + random.below(3); left > 0; left--) {
    result = random.pick(mutations)({ text: result, other, random });
  }
  return result;
}

type Mutation = (input: {
  readonly text: string;
  readonly other: string;
  readonly random: Random;
}) => string;

const mutations: readonly Mutation[] = [
  ({ text, random }) => replaceRange(text, random, { longest: 0, by: random.pick(tokens) }),
  ({ text, random }) => replaceRange(text, random, { longest: 3, by: random.pick(tokens) }),
  ({ text, random }) => replaceRange(text, random, { longest: 20, by: "" }),
  ({ text, other, random }) =>
    replaceRange(text, random, { longest: 10, by: partOf(other, random) }),
  ({ text, random }) => replaceRange(text, random, { longest: 0, by: partOf(text, random) }),
  ({ text, random }) => {
    const code = String.fromCharCode(random.below(random.once(4) ? 0x10000 : 0x80));
    return replaceRange(text, random, { longest: 1, by: code });
  },
  ({ text, random }) => text.slice(0, random.below(text.length + 1)),
  ({ text, random }) => withLines(text, (lines) => swap(lines, random)),
  ({ text, random }) => withLines(text, (lines) => lines.filter(() => !random.once(lines.length))),
  ({ text, other, random }) =>
    `${text.slice(0, random.below(text.length))}${partOf(other, random)}`,
];

function replaceRange(
  text: string,
  random: Random,
  { longest, by }: { readonly longest: number; readonly by: string },
): string {
  const start = random.below(text.length + 1);
  return text.slice(0, start) + by + text.slice(start + random.below(longest + 1));
}

function partOf(text: string, random: Random): string {
  const start = random.below(text.length);
  return text.slice(start, start + random.below(40));
}

function withLines(text: string, change: (lines: string[]) => readonly string[]): string {
  return change(text.split("\n")).join("\n");
}

function swap(lines: string[], random: Random): readonly string[] {
  const [line = ""] = lines.splice(random.below(lines.length), 1);
  lines.splice(random.below(lines.length + 1), 0, line);
  return lines;
}
