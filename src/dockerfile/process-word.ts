import { isSpace, type EscapeCharacter } from "./characters.ts";
import { dockerfileError } from "./errors.ts";
import { replacePattern, trimPrefix, trimSuffix } from "./glob-pattern.ts";

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
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION, DOCKERFILE_VARIABLE_REQUIRED
 */
export function processWord(word: string, options: ProcessWordOptions): ProcessedWord {
  const reader = new WordReader(word, options);
  return reader.readUntil(undefined, options.rawEscapes ?? false);
}

/**
 * One word in, one word out: values that contain blanks are not split.
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION, DOCKERFILE_VARIABLE_REQUIRED
 */
export function expandWord(word: string, lookup: Lookup, escape: EscapeCharacter = "\\"): string {
  return /[$'"\\`]/.test(word) ? processWord(word, { lookup, escape }).text : word;
}

const namePattern = /\p{Nd}+|[@*#?$!-]|[\p{L}_][\p{L}\p{Nd}_]*/uy;

/** Collects characters into words as they come; only characters marked as splitting end a word. */
class WordSplitter {
  readonly words: string[] = [];
  #word = "";

  /** Characters of which blanks separate words. */
  addSplitting(text: string): void {
    for (const character of text) {
      if (!isSpace(character)) this.#word += character;
      else this.end();
    }
  }

  addWhole(text: string): void {
    this.#word += text;
  }

  end(): void {
    if (this.#word !== "") this.words.push(this.#word);
    this.#word = "";
  }
}

/** Deeper nesting of `${…}` is nobody's intent, and would exhaust the stack. */
const deepestNesting = 200;

class WordReader {
  readonly #source: string;
  readonly #options: ProcessWordOptions;
  readonly #escape: EscapeCharacter;
  #position = 0;
  #depth = 0;

  constructor(source: string, options: ProcessWordOptions) {
    this.#source = source;
    this.#options = options;
    this.#escape = options.escape ?? "\\";
  }

  /** Reads to the end, or through the next unquoted `stop`. */
  readUntil(stop: "}" | "/" | undefined, rawEscapes: boolean): ProcessedWord {
    let text = "";
    const splitter = new WordSplitter();
    const whole = (piece: string): void => {
      text += piece;
      splitter.addWhole(piece);
    };
    while (this.#position < this.#source.length) {
      const character = this.#peek();
      if (character === stop) {
        this.#position++;
        splitter.end();
        return { text, words: splitter.words };
      }
      if (character === "$") {
        const value = this.#readDollar();
        text += value;
        splitter.addSplitting(value);
      } else if (character === "'" && !this.#options.literalQuotes) {
        whole(this.#readSingleQuotes());
      } else if (character === '"' && !this.#options.literalQuotes) {
        whole(this.#readDoubleQuotes(rawEscapes));
      } else if (character === "<") {
        whole(this.#readLess());
      } else if (character === this.#escape) {
        whole(this.#readEscaped(rawEscapes));
      } else {
        text += this.#take();
        splitter.addSplitting(character);
      }
    }
    if (stop !== undefined) throw this.#substitutionError(`a '${stop}' is missing`);
    splitter.end();
    return { text, words: splitter.words };
  }

  #readEscaped(rawEscapes: boolean): string {
    const escape = this.#take();
    return (rawEscapes ? escape : "") + this.#take();
  }

  /** `<<` keeps the blanks behind it, so that `<< EOF` is one word. */
  #readLess(): string {
    return this.#takeMatch(/<<[\t\r ]*|</y);
  }

  #readSingleQuotes(): string {
    const end = this.#source.indexOf("'", this.#position + 1);
    if (end < 0) throw this.#quoteError("'");
    const quoted = this.#source.slice(this.#position, end + 1);
    this.#position = end + 1;
    return this.#options.rawQuotes ? quoted : quoted.slice(1, -1);
  }

  #readDoubleQuotes(rawEscapes: boolean): string {
    const quote = this.#take();
    let text = this.#options.rawQuotes ? quote : "";
    while (this.#position < this.#source.length) {
      const character = this.#peek();
      if (character === '"') return text + (this.#options.rawQuotes ? this.#take() : this.#skip());
      if (character === "$") text += this.#readDollar();
      else if (character === this.#escape) text += this.#readEscapedInQuotes(rawEscapes);
      else text += this.#take();
    }
    throw this.#quoteError('"');
  }

  /** Between double quotes the escape character only concerns `"`, `$` and itself. */
  #readEscapedInQuotes(rawEscapes: boolean): string {
    const escape = this.#take();
    const next = this.#peek();
    if (next === "") return rawEscapes ? escape : "";
    if (next !== '"' && next !== "$" && next !== this.#escape)
      return rawEscapes ? escape + escape : escape;
    return (rawEscapes ? escape : "") + this.#take();
  }

  #readDollar(): string {
    this.#position++;
    if (this.#peek() === "{") return this.#readBraces();
    const name = this.#readName();
    if (name === "") return "$";
    return this.#options.lookup(name) ?? (this.#options.keepUnset ? `$${name}` : "");
  }

  #readBraces(): string {
    if (this.#depth === deepestNesting) throw this.#substitutionError("it is nested too deeply");
    this.#depth++;
    const text = this.#readSubstitution();
    this.#depth--;
    return text;
  }

  #readSubstitution(): string {
    this.#position++;
    const first = this.#peek();
    if (first === "") throw this.#substitutionError("a '}' is missing");
    if (first === "{" || first === "}" || first === ":") {
      throw this.#substitutionError("a variable name is missing");
    }
    const name = this.#readName();
    const modifier = this.#take();
    const value = this.#options.lookup(name);
    switch (modifier) {
      case "}":
        return value ?? (this.#options.keepUnset ? `\${${name}}` : "");
      case ":":
        return this.#readModified({ name, value, modifier: this.#take(), emptyIsUnset: true });
      case "/":
        return this.#readReplacement(name, value);
      case "":
        throw this.#substitutionError("a '}' is missing");
      default:
        return this.#readModified({ name, value, modifier, emptyIsUnset: false });
    }
  }

  #readModified(substitution: {
    readonly name: string;
    readonly value: string | undefined;
    readonly modifier: string;
    readonly emptyIsUnset: boolean;
  }): string {
    const { name, value, modifier, emptyIsUnset } = substitution;
    const written = (emptyIsUnset ? ":" : "") + modifier;
    const isPattern = modifier === "#" || modifier === "%";
    if (modifier === "" || !"+-?#%".includes(modifier) || (isPattern && emptyIsUnset)) {
      throw this.#substitutionError(`the modifier ${JSON.stringify(written)} is not supported`);
    }
    const word = this.readUntil("}", isPattern).text;
    if (value === undefined && this.#options.keepUnset) return `\${${name}${written}${word}}`;
    const isUnset = value === undefined || (emptyIsUnset && value === "");
    switch (modifier) {
      case "-":
        return isUnset ? word : value;
      case "+":
        return isUnset ? "" : word;
      case "?":
        if (isUnset) throw requiredError(name, word, value);
        return value;
      default:
        return trimPattern(value ?? "", modifier, word);
    }
  }

  #readReplacement(name: string, value: string | undefined): string {
    const all = this.#peek() === "/";
    if (all) this.#position++;
    const pattern = this.readUntil("/", true).text;
    const replacement = this.readUntil("}", true).text;
    if (value === undefined && this.#options.keepUnset)
      return `\${${name}/${pattern}/${replacement}}`;
    return replacePattern(value ?? "", { pattern, replacement, all });
  }

  #readName(): string {
    return this.#takeMatch(namePattern);
  }

  #takeMatch(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#source)?.[0] ?? "";
    this.#position += found.length;
    return found;
  }

  /** A whole character, also beyond the basic plane; empty at the end. */
  #peek(): string {
    const code = this.#source.codePointAt(this.#position);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #take(): string {
    const character = this.#peek();
    this.#position += character.length;
    return character;
  }

  #skip(): string {
    this.#take();
    return "";
  }

  #quoteError(quote: string): Error {
    return dockerfileError(
      "DOCKERFILE_QUOTE",
      `read ${shorten(this.#source)}: the matching ${quote} is missing`,
      { hint: `close the quote, or write ${this.#escape}${quote} for the character itself` },
    );
  }

  #substitutionError(reason: string): Error {
    return dockerfileError(
      "DOCKERFILE_SUBSTITUTION",
      `expand variables in ${shorten(this.#source)}: ${reason}`,
      { hint: `write \${NAME}, \${NAME:-default} or ${this.#escape}$ for the character itself` },
    );
  }
}

function trimPattern(value: string, modifier: string, word: string): string {
  const longest = word.startsWith(modifier);
  const pattern = longest ? word.slice(1) : word;
  return modifier === "#"
    ? trimPrefix(value, pattern, longest)
    : trimSuffix(value, pattern, longest);
}

function requiredError(name: string, message: string, value: string | undefined): Error {
  const state = value === undefined ? "unset" : "empty";
  return dockerfileError(
    "DOCKERFILE_VARIABLE_REQUIRED",
    `${name}: ${message === "" ? `is not allowed to be ${state}` : message}`,
    { hint: `give it a value: --build-arg ${name}=…, or a default in ARG`, details: { name } },
  );
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
