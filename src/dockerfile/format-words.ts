import { isSpace, type EscapeCharacter } from "./characters.ts";
import { readJsonArray } from "./json-form.ts";
import type { Heredoc } from "./types.ts";

/** A flag with its value, between quotes where it would fall apart. */
export function formatFlag(
  name: string,
  flag: {
    readonly value: string;
    readonly escape: EscapeCharacter;
    /** Without quotes around what looks like an open substitution. */
    readonly opensSubstitution: boolean;
  },
): string {
  const { value, escape, opensSubstitution } = flag;
  const isPlain = ![...value].some((character) => isSpecial(character, escape));
  // Outside quotes `<<` takes in the blanks behind it, and hides a marker that follows; so does what looks like an open
  // substitution, which double quotes do not hide.
  if (isPlain && opensSubstitution && value.includes("${")) return `--${name}=${value}`;
  if (isPlain && !/<<|\$\{/.test(value)) return `--${name}=${value}`;
  if (isPlain && !value.includes("\\")) return `--${name}='${value}'`;
  const quoted = Array.from(value, (character) =>
    character === '"' || character === escape ? escape + character : character,
  );
  return `--${name}="${quoted.join("")}"`;
}

function isSpecial(character: string, escape: EscapeCharacter): boolean {
  return isSpace(character) || character === "'" || character === '"' || character === escape;
}

/** What stands behind the flags; `--` keeps it from being read as a flag itself. */
export function formatRest(rest: string): string {
  return rest.startsWith("--") ? `-- ${rest}` : rest;
}

/** Words separated by blanks where that reads the same again, else a JSON array. */
export function formatList(words: readonly string[]): string {
  const text = words.join(" ");
  return isPlainList(words, text) ? formatRest(text) : JSON.stringify(words);
}

function isPlainList(words: readonly string[], text: string): boolean {
  if (words.length === 0 || text.includes("<<") || readJsonArray(text).kind !== "none")
    return false;
  return words.every((word) => word !== "" && ![...word].some(isSpace));
}

/** The word that announces a heredoc of COPY or ADD. */
export function formatMarker({ name, expand, chomp, fileDescriptor }: Heredoc): string {
  const number = fileDescriptor === undefined ? "" : String(fileDescriptor);
  return `${number}<<${chomp ? "-" : ""}${expand ? escapeName(name) : quoteName(name)}`;
}

/** An escaped quote is part of the name; only real ones switch expansion off. */
function escapeName(name: string): string {
  return Array.from(name, (character) =>
    isSpecial(character, "\\") ? `\\${character}` : character,
  ).join("");
}

function quoteName(name: string): string {
  return name.includes("'") ? `"${name.replace(/["\\$]/g, "\\$&")}"` : `'${name}'`;
}
