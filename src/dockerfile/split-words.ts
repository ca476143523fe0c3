import { blanks, isSpace, type EscapeCharacter } from "./characters.ts";

/** Splits at blanks only: quotes do not group (FROM, EXPOSE, COPY, ADD, VOLUME). */
export function splitList(text: string): readonly string[] {
  return text === "" ? [] : text.split(blanks);
}

/**
 * Splits at blanks outside quotes; quotes and escapes stay in the words (ENV, LABEL, ARG). An escape character at
 * the very end is dropped.
 */
export function splitQuotedWords(text: string, escape: EscapeCharacter): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let position = 0; position < text.length; position++) {
    const character = text.charAt(position);
    if (quote === "" && isSpace(character)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    if (character === quote) quote = "";
    else if (quote === "" && (character === "'" || character === '"')) quote = character;
    else if (character === escape && quote !== "'") {
      if (position + 1 === text.length) break;
      word += character;
      position++;
    }
    word += text.charAt(position);
  }
  if (word !== "") words.push(word);
  return words;
}
