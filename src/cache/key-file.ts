import { closeSync, openSync, readSync } from "node:fs";
import { asObject, isAbsence, parseJson } from "../store/index.ts";
import { cacheError } from "./errors.ts";
import type { CacheKeyObject, FieldLines, KeyField } from "./types.ts";

/**
 * A key object as text, in parts: a line for the head, one for each field, one for their number. Lines are read one by
 * one, so that two keys of 200,000 files can be compared without having both in memory. The parts are made once, as they
 * are taken.
 */
export function formatCacheKey(object: CacheKeyObject): string | Iterable<string> {
  const parts = formatInParts(object);
  const first = parts.next().value ?? "";
  const second = parts.next();
  // What is one part is written at once, which is most keys.
  return second.done === true ? first : partsFrom([first, second.value], parts);
}

function* partsFrom(
  begun: readonly string[],
  rest: Iterable<string>,
): Generator<string, void, undefined> {
  yield* begun;
  yield* rest;
}

function* formatInParts({
  version,
  kind,
  fields,
}: CacheKeyObject): Generator<string, void, undefined> {
  let part = `${JSON.stringify({ version, kind, format })}\n`;
  let [count, inPart] = [0, 0];
  for (const lines of fields.lines?.() ?? linesOf(fields)) {
    part += lines.text;
    count += lines.count;
    inPart += lines.count;
    if (inPart < fieldsAtOnce) continue;
    yield part;
    [part, inPart] = ["", 0];
  }
  yield `${part}${JSON.stringify({ fields: count })}\n`;
}

function* linesOf(fields: Iterable<KeyField>): Generator<FieldLines, void, undefined> {
  for (const field of fields) yield { text: `${JSON.stringify(field)}\n`, count: 1 };
}

const fieldsAtOnce = 1000;
/** Of the file; files of before had all fields in one line. */
const format = 2;

/** The key object in a file; undefined when there is none. See {@link formatCacheKey}, and `Cache.explain`. */
export function readCacheKey(path: string): CacheKeyObject | undefined {
  const head = readHead(path);
  if (head === undefined) return undefined;
  return { ...head, fields: { [Symbol.iterator]: () => readFields(path) } };
}

function readHead(path: string): Pick<CacheKeyObject, "version" | "kind"> | undefined {
  try {
    for (const line of readLines(path)) return parseJson(line, parseHead);
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  return undefined;
}

function parseHead(value: unknown): Pick<CacheKeyObject, "version" | "kind"> | undefined {
  const { version, kind, format: found } = asObject(value) ?? {};
  if (version !== 1 || found !== format || (kind !== "definition" && kind !== "content"))
    return undefined;
  return { version, kind };
}

function* readFields(path: string): Generator<KeyField, void, undefined> {
  let count = -1;
  for (const line of readLines(path)) {
    count += 1;
    if (count === 0) continue;
    const field = parseJson(line, (value) => (isKeyField(value) ? value : undefined));
    if (field !== undefined) yield field;
    else if (parseJson(line, asObject)?.["fields"] === count - 1) return;
    else break;
  }
  throw cacheError("CACHE_KEY_DAMAGED", `read ${path}: it is damaged`, {
    hint: "nothing is lost but an explanation; the next build of the step writes it again",
    details: { path },
  });
}

export function isKeyField(value: unknown): value is KeyField {
  const { name, value: content } = asObject(value) ?? {};
  if (typeof name !== "string" || content === undefined) return false;
  if (!name.startsWith("file:")) return true;
  // What is compared is asked of each file: with less it is none.
  return typeof asObject(content)?.["source"] === "number";
}

const bytesAtOnce = 64 * 1024;
const newline = 0x0a;
const longestLine = 4 * 1024 * 1024;

/** Synchronous, as is whoever compares. The last line counts only with its line break. */
function* readLines(path: string): Generator<string, void, undefined> {
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.allocUnsafe(bytesAtOnce);
    let rest = Buffer.alloc(0);
    for (;;) {
      const size = readSync(file, chunk);
      if (size === 0) return;
      const bytes = Buffer.concat([rest, chunk.subarray(0, size)]);
      let start = 0;
      for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
        yield bytes.toString("utf8", start, end);
        start = end + 1;
      }
      rest = bytes.subarray(start);
      // No field is so long: this is another file, or what a power cut left.
      if (rest.length > longestLine) return;
    }
  } finally {
    closeSync(file);
  }
}
