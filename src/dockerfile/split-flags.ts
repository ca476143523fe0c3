import { isSpace, trimSpace, type EscapeCharacter } from "./characters.ts";

/**
 * Takes the leading `--word` tokens off an instruction's arguments. Quotes are removed and the escape character
 * escapes, as everywhere in flags; a lone `--` ends them and is dropped.
 */
export function splitFlags(
  text: string,
  escape: EscapeCharacter,
): { readonly flags: readonly string[]; readonly rest: string } {
  const flags: string[] = [];
  let position = 0;
  while (true) {
    while (position < text.length && isSpace(text.charAt(position))) position++;
    if (!text.startsWith("--", position)) break;
    const word = readFlag(text, position, escape);
    position = word.end;
    if (word.flag === "--") break;
    flags.push(word.flag);
  }
  return { flags, rest: trimSpace(text.slice(position)) };
}

function readFlag(
  text: string,
  start: number,
  escape: EscapeCharacter,
): { readonly flag: string; readonly end: number } {
  let flag = "";
  let quote = "";
  let position = start;
  for (; position < text.length; position++) {
    const character = text.charAt(position);
    if (quote === "" && isSpace(character)) break;
    if (character === quote) quote = "";
    else if (quote === "" && (character === "'" || character === '"')) quote = character;
    else if (character === escape) flag += text.charAt(++position);
    else flag += character;
  }
  return { flag, end: position };
}
