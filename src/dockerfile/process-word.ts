import type { EscapeCharacter } from "./characters.ts";
import { dockerfileError } from "./errors.ts";
import { isTsbuildError } from "../core/index.ts";
import { replacePattern, trimPrefix, trimSuffix } from "./glob-pattern.ts";
import { WordSplitter } from "./word-splitter.ts";

/** Value of a variable; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

export interface ProcessWordOptions {
  readonly lookup: Lookup;
  /** Backslash unless the Dockerfile says otherwise. */
  readonly escape?: EscapeCharacter;
  /** Quotes stay in the result. */
  readonly rawQuotes?: boolean;
  /** Escape characters stay in the result. */
  readonly rawEscapes?: boolean;
  /** References to unset variables stay as they are written. */
  readonly keepUnset?: boolean;
  /** Quotes are ordinary characters (bodies of heredocs). */
  readonly literalQuotes?: boolean;
}

export interface ProcessedWord {
  readonly text: string;
  /** `text` split at blanks that are not quoted, after expansion. */
  readonly words: readonly string[];
}

/**
 * Removes quotes and expands variables the way a shell does, as far as Dockerfiles have it: `$name`, `${name}` and
 * the modifiers `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`.
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION, DOCKERFILE_VARIABLE_REQUIRED; `details` name the `word`, and the
 *   wrong part of it by `at` (from 0) and `length`, from which `pinpointWord` makes a place in the file
 */
export function processWord(word: string, options: ProcessWordOptions): ProcessedWord {
  const splitter = new WordSplitter();
  const text = new WordReader(word, options).readAll(splitter);
  return { text, words: splitter.finish() };
}

/**
 * One word in, one word out: values that contain blanks are not split.
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION, DOCKERFILE_VARIABLE_REQUIRED
 */
export function expandWord(word: string, lookup: Lookup, escape: EscapeCharacter = "\\"): string {
  return /[$'"\\`]/.test(word) ? new WordReader(word, { lookup, escape }).readAll() : word;
}

const namePattern = /\p{Nd}+|[@*#?$!-]|[\p{L}_][\p{L}\p{Nd}_]*/uy;
/** The same for names of ASCII: to make the other one, with its tables of Unicode, takes a millisecond. */
const asciiNamePattern = /\d+|[@*#?$!-]|[A-Za-z_]\w*/y;

/** As many characters as come that mean nothing; kept, because making a regular expression takes longer than using it. */
const plainPatterns: Readonly<Record<EscapeCharacter, RegExp>> = {
  "\\": /[^$<}/'"\\]+/y,
  "`": /[^$<}/'"`]+/y,
};

/** Deeper nesting of `${…}` is nobody's intent, and would exhaust the stack. */
const deepestNesting = 200;

/** What a failing expansion leaves to be located. */
interface Fault {
  readonly code: "DOCKERFILE_QUOTE" | "DOCKERFILE_SUBSTITUTION" | "DOCKERFILE_VARIABLE_REQUIRED";
  readonly reason: string;
  readonly hint: string;
  /** Where the wrong part begins; it reaches to the current position. */
  readonly start: number;
}

class WordReader {
  readonly #source: string;
  readonly #options: ProcessWordOptions;
  readonly #escape: EscapeCharacter;
  readonly #plain: RegExp;
  #position = 0;
  #depth = 0;

  constructor(source: string, options: ProcessWordOptions) {
    this.#source = source;
    this.#options = options;
    this.#escape = options.escape ?? "\\";
    this.#plain = plainPatterns[this.#escape];
  }

  readAll(splitter?: WordSplitter): string {
    return this.#readUntil(undefined, this.#options.rawEscapes ?? false, splitter);
  }

  /** Reads to the end, or through the next unquoted `stop`. */
  #readUntil(stop: "}" | "/" | undefined, rawEscapes: boolean, splitter?: WordSplitter): string {
    const start = this.#position;
    let text = "";
    while (this.#position < this.#source.length) {
      const character = this.#source.charAt(this.#position);
      if (character === stop) {
        this.#position++;
        return text;
      }
      if (character === "$") {
        const value = this.#readDollar();
        text += value;
        splitter?.addSplitting(value);
        continue;
      }
      const piece = this.#readSpecial(character, rawEscapes);
      if (piece === undefined) {
        const plain = this.#takeMatch(this.#plain) || this.#take();
        text += plain;
        splitter?.addSplitting(plain);
      } else {
        text += piece;
        splitter?.addWhole(piece);
      }
    }
    if (stop !== undefined) throw this.#missing(stop, start);
    return text;
  }

  /** Quotes, escapes and `<<`, none of which ends a word; undefined for anything else. */
  #readSpecial(character: string, rawEscapes: boolean): string | undefined {
    if (character === this.#escape) return this.#readEscaped(rawEscapes);
    // The blanks behind `<<` and `<<-` belong to it, so that `<< EOF` is one word.
    if (character === "<") return this.#takeMatch(/<<-?[\t\r ]*|</y);
    if (this.#options.literalQuotes) return undefined;
    if (character === "'") return this.#readSingleQuotes();
    return character === '"' ? this.#readDoubleQuotes(rawEscapes) : undefined;
  }

  #readEscaped(rawEscapes: boolean): string {
    const escape = this.#take();
    return (rawEscapes ? escape : "") + this.#take();
  }

  #readSingleQuotes(): string {
    const start = this.#position;
    const end = this.#source.indexOf("'", start + 1);
    if (end < 0) throw this.#quoteError("'", start);
    const quoted = this.#source.slice(start, end + 1);
    this.#position = end + 1;
    return this.#options.rawQuotes ? quoted : quoted.slice(1, -1);
  }

  #readDoubleQuotes(rawEscapes: boolean): string {
    const start = this.#position;
    const quote = this.#options.rawQuotes ? '"' : "";
    this.#position++;
    let text = quote;
    while (this.#position < this.#source.length) {
      const character = this.#source.charAt(this.#position);
      if (character === '"') {
        this.#position++;
        return text + quote;
      }
      if (character === "$") text += this.#readDollar();
      else if (character === this.#escape) text += this.#readEscapedInQuotes(rawEscapes);
      else text += this.#takeMatch(this.#plain) || this.#take();
    }
    throw this.#quoteError('"', start);
  }

  /** Between double quotes the escape character only concerns `"`, `$` and itself. */
  #readEscapedInQuotes(rawEscapes: boolean): string {
    const escape = this.#take();
    const next = this.#source.charAt(this.#position);
    if (next === "") return rawEscapes ? escape : "";
    if (next !== '"' && next !== "$" && next !== this.#escape)
      return rawEscapes ? escape + escape : escape;
    return (rawEscapes ? escape : "") + this.#take();
  }

  #readDollar(): string {
    const start = this.#position++;
    if (this.#source.charAt(this.#position) === "{") return this.#readBraces(start);
    const name = this.#takeName();
    if (name === "") return "$";
    return this.#options.lookup(name) ?? (this.#options.keepUnset ? `$${name}` : "");
  }

  #readBraces(start: number): string {
    if (this.#depth === deepestNesting) {
      throw this.#substitutionError("it is nested too deeply", start);
    }
    this.#depth++;
    try {
      return this.#readSubstitution(start);
    } finally {
      this.#depth--;
    }
  }

  #readSubstitution(start: number): string {
    this.#position++;
    const first = this.#source.charAt(this.#position);
    if (first === "") throw this.#missing("}", start);
    if (first === "{" || first === "}" || first === ":") {
      throw this.#substitutionError("syntax error: bad substitution", start);
    }
    const name = this.#takeName();
    const modifier = this.#take();
    const value = this.#options.lookup(name);
    switch (modifier) {
      case "}":
        return value ?? (this.#options.keepUnset ? `\${${name}}` : "");
      case "":
        throw this.#missing("}", start);
      case "/":
        return this.#readReplacement({ name, value, start });
      case ":":
        return this.#readModified({
          name,
          value,
          start,
          modifier: this.#take(),
          emptyIsUnset: true,
        });
      default:
        return this.#readModified({ name, value, start, modifier, emptyIsUnset: false });
    }
  }

  #readModified(substitution: {
    readonly name: string;
    readonly value: string | undefined;
    readonly start: number;
    readonly modifier: string;
    readonly emptyIsUnset: boolean;
  }): string {
    const { name, value, start, modifier, emptyIsUnset } = substitution;
    const written = (emptyIsUnset ? ":" : "") + modifier;
    const isPattern = modifier === "#" || modifier === "%";
    if (modifier === "") throw this.#missing("}", start);
    if (!"+-?#%".includes(modifier) || (isPattern && emptyIsUnset)) {
      throw this.#substitutionError(`unsupported modifier (${written}) in substitution`, start);
    }
    const word = this.#readNested("}", { rawEscapes: isPattern, start });
    if (value === undefined && this.#options.keepUnset) return `\${${name}${written}${word}}`;
    const isUnset = value === undefined || (emptyIsUnset && value === "");
    switch (modifier) {
      case "-":
        return isUnset ? word : value;
      case "+":
        return isUnset ? "" : word;
      case "?":
        if (isUnset) throw this.#requiredError({ name, message: word, value, start });
        return value;
      default:
        return this.#matching(start, () => trimPattern(value ?? "", modifier, word));
    }
  }

  #readReplacement(substitution: {
    readonly name: string;
    readonly value: string | undefined;
    readonly start: number;
  }): string {
    const { name, value, start } = substitution;
    const all = this.#source.charAt(this.#position) === "/";
    if (all) this.#position++;
    const pattern = this.#readNested("/", { rawEscapes: true, start });
    const replacement = this.#readNested("}", { rawEscapes: true, start });
    if (value === undefined && this.#options.keepUnset)
      return `\${${name}/${pattern}/${replacement}}`;
    return this.#matching(start, () => replacePattern(value ?? "", { pattern, replacement, all }));
  }

  /** The word of a substitution. A mistake inside that reaches to the end is told as the missing brace that it also is. */
  #readNested(
    stop: "}" | "/",
    { rawEscapes, start }: { readonly rawEscapes: boolean; readonly start: number },
  ): string {
    try {
      return this.#readUntil(stop, rawEscapes);
    } catch (error) {
      if (!isTsbuildError(error) || this.#position < this.#source.length) throw error;
      throw this.#missing(stop, start);
    }
  }

  #matching(start: number, match: () => string): string {
    try {
      return match();
    } catch (error) {
      if (!isTsbuildError(error, "DOCKERFILE_SUBSTITUTION")) throw error;
      throw this.#substitutionError(error.message, start, error.hint);
    }
  }

  #takeName(): string {
    const start = this.#position;
    const name = this.#takeMatch(asciiNamePattern);
    if (this.#source.charCodeAt(this.#position) < 0x80 || this.#position === this.#source.length)
      return name;
    this.#position = start;
    return this.#takeMatch(namePattern);
  }

  #takeMatch(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#source)?.[0] ?? "";
    this.#position += found.length;
    return found;
  }

  /** A whole character, also beyond the basic plane; empty at the end. */
  #take(): string {
    const code = this.#source.codePointAt(this.#position);
    const character = code === undefined ? "" : String.fromCodePoint(code);
    this.#position += character.length;
    return character;
  }

  #missing(stop: "}" | "/", start: number): Error {
    const place = stop === "/" ? " in ${}" : "";
    return this.#substitutionError(`syntax error: missing '${stop}'${place}`, start);
  }

  #quoteError(quote: "'" | '"', start: number): Error {
    this.#position = this.#source.length;
    const name = quote === "'" ? "single-quote" : "double-quote";
    return this.#fault({
      code: "DOCKERFILE_QUOTE",
      reason: `unexpected end of statement while looking for matching ${name}`,
      hint: `close the quote, or write ${this.#escape}${quote} for the character itself`,
      start,
    });
  }

  #substitutionError(reason: string, start: number, hint?: string): Error {
    return this.#fault({
      code: "DOCKERFILE_SUBSTITUTION",
      reason,
      hint:
        hint ?? `write \${NAME}, \${NAME:-default} or ${this.#escape}$ for the character itself`,
      start,
    });
  }

  #requiredError(variable: {
    readonly name: string;
    readonly message: string;
    readonly value: string | undefined;
    readonly start: number;
  }): Error {
    const { name, message, value, start } = variable;
    const state = value === undefined ? "unset" : "empty";
    return this.#fault({
      code: "DOCKERFILE_VARIABLE_REQUIRED",
      reason: `${name}: ${message === "" ? `is not allowed to be ${state}` : message}`,
      hint: `give it a value: --build-arg ${name}=…, or a default in ARG`,
      start,
    });
  }

  #fault({ code, reason, hint, start }: Fault): Error {
    const word = this.#source;
    return dockerfileError(code, `failed to process ${shorten(word)}: ${reason}`, {
      hint,
      details: { word, at: start, length: this.#position - start },
    });
  }
}

function trimPattern(value: string, modifier: string, word: string): string {
  const longest = word.startsWith(modifier);
  const pattern = longest ? word.slice(1) : word;
  return modifier === "#"
    ? trimPrefix(value, pattern, longest)
    : trimSuffix(value, pattern, longest);
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
