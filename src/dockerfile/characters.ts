/** What the reference parser counts as white space (Unicode White_Space; unlike JavaScript's, without U+FEFF). */
const space =
  "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const spacePattern = new RegExp(`[${space}]`);
const leading = new RegExp(`^[${space}]+`);
const trailing = new RegExp(`[${space}]+$`);

export function isSpace(character: string): boolean {
  return spacePattern.test(character);
}

export function trimStart(text: string): string {
  return text.replace(leading, "");
}

export function trimSpace(text: string): string {
  return trimStart(text).replace(trailing, "");
}

/** Separates keyword, arguments and list items: ASCII blanks only. */
export const blanks = /[\t\v\f\r ]+/;

/** The character that continues lines and takes the meaning of the next one. */
export type EscapeCharacter = "\\" | "`";
