import type { CacheKeyObject } from "../../cache/index.ts";
import type { JsonValue } from "../../core/index.ts";

/** The instruction that a key was made for, about as the Dockerfile has it; undefined when it does not tell. */
export function describeStep(key: CacheKeyObject | undefined): string | undefined {
  for (const { name, value } of key?.fields ?? []) {
    if (name === "instruction") return Array.isArray(value) ? describe(value) : undefined;
    // The instruction comes first, and files by the thousand last.
    if (name.startsWith("file:")) return undefined;
  }
  return undefined;
}

function describe([word, ...rest]: readonly JsonValue[]): string {
  if (word === "RUN") return `RUN ${describeCommand(rest.map(String))}`;
  if (word === "MERGE") return "COPY --link onto its base";
  return [word, ...rest].map(describeWord).join(" ");
}

/** What the usual shell is told, else the words as JSON. */
function describeCommand(words: readonly string[]): string {
  const [shell, flag, script, ...more] = words;
  const isUsual = shell === "/bin/sh" && flag === "-c" && script !== undefined && more.length === 0;
  return isUsual ? script : JSON.stringify(words);
}

function describeWord(word: JsonValue | undefined): string {
  if (typeof word !== "object" || word === null || Array.isArray(word)) return String(word);
  const { pattern, heredoc } = word as { readonly [name: string]: JsonValue | undefined };
  if (typeof pattern === "string") return pattern;
  return typeof heredoc === "string" ? `<<${heredoc}` : JSON.stringify(word);
}
