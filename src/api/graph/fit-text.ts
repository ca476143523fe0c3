/**
 * Breaks a text, at blanks and slashes, into at most `most` lines of at most `width` columns; what does not fit ends in an ellipsis. Characters
 * that are twice as wide as others (Chinese, emoji) count twice; what cannot be seen is left out.
 */
export function fitText(
  text: string,
  { width, most = 1 }: { readonly width: number; readonly most?: number },
): readonly string[] {
  const words = text.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  const lines: string[] = [];
  for (let rest = words; rest !== "";) {
    const isLast = lines.length === most - 1;
    const line = cut(rest, width);
    if (line === rest) return [...lines, rest];
    if (isLast) return [...lines, `${cut(rest, width - 1).trimEnd()}…`];
    const space = Math.max(line.lastIndexOf(" "), line.lastIndexOf("/") + 1);
    // A word that takes most of a line is broken: an identifier.
    const end = space > line.length / 2 ? space : line.length;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return lines;
}

/** As much of the beginning as fits. */
function cut(text: string, width: number): string {
  let used = 0;
  let end = 0;
  for (const character of text) {
    used += isWide(character) ? 2 : 1;
    if (used > width) break;
    end += character.length;
  }
  return text.slice(0, end);
}

/** Roughly what Unicode calls East Asian Wide: more is no harm, the text only ends earlier. */
function isWide(character: string): boolean {
  return /[\p{Extended_Pictographic}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uffef]/u.test(
    character,
  );
}
