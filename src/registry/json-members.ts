/**
 * Changes single members of a JSON object in its text. Everything else stays byte for byte: numbers that JavaScript
 * cannot hold, the order of keys, and how its owner indents it.
 */

/** A member's place in the text: from the quote of its key to the end of its value. */
interface Member {
  readonly key: string;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
}

interface ObjectSpan {
  /** Of the opening brace. */
  readonly start: number;
  /** Of the closing brace. */
  readonly end: number;
  readonly members: readonly Member[];
}

/**
 * The text with the member at `path` set; objects on the way are made, and whatever else stands there gives way.
 * `text` must be a JSON object that `JSON.parse` accepts.
 */
export function setJsonMember(text: string, path: readonly string[], value: unknown): string {
  return setIn(text, skipBlanks(text, 0), { path, value });
}

/** The text without the member at `path`; unchanged when there is none. */
export function removeJsonMember(text: string, path: readonly string[]): string {
  const [key = "", ...rest] = path;
  return removeIn(text, skipBlanks(text, 0), { key, rest });
}

function setIn(
  text: string,
  at: number,
  change: { readonly path: readonly string[]; readonly value: unknown },
): string {
  const [key = "", ...rest] = change.path;
  const object = readObject(text, at);
  // The last of several wins, as in JSON.parse.
  const member = object.members.findLast((candidate) => candidate.key === key);
  if (member !== undefined && rest.length > 0 && text[member.valueStart] === "{") {
    return setIn(text, member.valueStart, { path: rest, value: change.value });
  }
  const value = rest.reduceRight<unknown>((inner, name) => ({ [name]: inner }), change.value);
  if (member === undefined) return insert(text, object, { key, value });
  return (
    text.slice(0, member.valueStart) +
    format(value, indentAt(text, member.start), unitOf(text)) +
    text.slice(member.end)
  );
}

function removeIn(
  text: string,
  at: number,
  { key, rest }: { readonly key: string; readonly rest: readonly string[] },
): string {
  const { members, start, end } = readObject(text, at);
  const index = members.findLastIndex((candidate) => candidate.key === key);
  const member = members[index];
  if (member === undefined) return text;
  const [next, ...further] = rest;
  if (next !== undefined) {
    if (text[member.valueStart] !== "{") return text;
    return removeIn(text, member.valueStart, { key: next, rest: further });
  }
  const before = members[index - 1];
  const after = members[index + 1];
  const without =
    before !== undefined
      ? text.slice(0, before.end) + text.slice(member.end)
      : after !== undefined
        ? text.slice(0, member.start) + text.slice(after.start)
        : `${text.slice(0, start)}{}${text.slice(end + 1)}`;
  // A key may stand there more than once.
  return removeIn(without, at, { key, rest });
}

function insert(
  text: string,
  { start, end, members }: ObjectSpan,
  { key, value }: { readonly key: string; readonly value: unknown },
): string {
  const last = members.at(-1);
  if (last !== undefined) {
    const from = text.lastIndexOf(members.length === 1 ? "{" : ",", last.start) + 1;
    const gap = text.slice(from, last.start);
    const shown = format(value, indentAt(text, last.start), unitOf(text));
    return `${text.slice(0, last.end)},${gap}${JSON.stringify(key)}: ${shown}${text.slice(last.end)}`;
  }
  const indent = indentAt(text, start);
  const unit = unitOf(text);
  const shown = format(value, indent + unit, unit);
  const inner = `{\n${indent}${unit}${JSON.stringify(key)}: ${shown}\n${indent}}`;
  return text.slice(0, start) + inner + text.slice(end + 1);
}

function format(value: unknown, indent: string, unit: string): string {
  return JSON.stringify(value, undefined, unit).replaceAll("\n", `\n${indent}`);
}

/** What the owner indents with; Docker takes a tab. */
function unitOf(text: string): string {
  return /^\s*\{\s*\n([ \t]+)"/.exec(text)?.[1] ?? "\t";
}

/** The blanks at the beginning of the line of a position. */
function indentAt(text: string, position: number): string {
  const line = text.lastIndexOf("\n", position - 1) + 1;
  return /^[ \t]*/.exec(text.slice(line, position))?.[0] ?? "";
}

function readObject(text: string, start: number): ObjectSpan {
  const members: Member[] = [];
  let at = skipBlanks(text, start + 1);
  while (text[at] === '"') {
    const keyEnd = skipString(text, at);
    const valueStart = skipBlanks(text, skipBlanks(text, keyEnd) + 1);
    const end = skipValue(text, valueStart);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    members.push({ key, start: at, valueStart, end });
    at = skipBlanks(text, end);
    if (text[at] === ",") at = skipBlanks(text, at + 1);
  }
  return { start, end: at, members };
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text[at] ?? "")) at += 1;
  return at;
}

function skipString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function skipValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const character = text[at] ?? "";
    if (character === '"') {
      at = skipString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (depth === 0 && /[\s,}\]]/.test(character)) return at;
    if (/[{[]/.test(character)) depth += 1;
    if (/[}\]]/.test(character)) depth -= 1;
    at += 1;
    if (depth === 0 && /[}\]]/.test(character)) return at;
  }
  return at;
}
