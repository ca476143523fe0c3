/** What the reference parser counts as white space (Unicode White_Space; unlike JavaScript's, without U+FEFF). */
export function isSpace(character: string): boolean {
  return isSpaceCode(character.charCodeAt(0));
}

function isSpaceCode(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return spaces.has(code);
}

const spaces = new Set([
  0x85, 0xa0, 0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
  0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,
]);

// Loops, because a regular expression takes quadratic time to find the blanks at the end of a text that is full of blanks.

export function trimStart(text: string): string {
  let start = 0;
  while (start < text.length && isSpaceCode(text.charCodeAt(start))) start++;
  return text.slice(start);
}

export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpaceCode(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

export function trimSpace(text: string): string {
  return trimEnd(trimStart(text));
}

/** The text without any of `characters` at its end. */
export function trimEndOf(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/** Separates keyword, arguments and list items: ASCII blanks only. */
export const blanks = /[\t\v\f\r ]+/;

/** The character that continues lines and takes the meaning of the next one. */
export type EscapeCharacter = "\\" | "`";
