/**
 * The candidate that a misspelt word most likely meant: at most two edits (insert, delete, replace) away, letter case
 * aside. Nothing when the word is one of them already.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance === 0) return candidate === word ? undefined : candidate;
    if (distance > 2 || distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** `did you mean X?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const found = suggest(word, candidates);
  return found === undefined ? undefined : `did you mean ${found}?`;
}

/** The message of an error, and behind it ` (did you mean X?)` where something is near enough. */
export function withSuggestion(
  message: string,
  { word, candidates }: { readonly word: string; readonly candidates: Iterable<string> },
): string {
  const found = didYouMean(word, candidates);
  return found === undefined ? message : `${message} (${found})`;
}

/**
 * Edits between two words; 3 stands for "too many". Two letters in the wrong order are two edits, but likelier than
 * other ones, so they count a little less.
 */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let twoAbove: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(above, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwapped ? at(twoAbove, j - 2) + 1.5 : replaced;
      row.push(Math.min(replaced, swapped, at(above, j) + 1, at(row, j - 1) + 1));
    }
    // A swap leaps over one row, so two of them must be hopeless.
    if (Math.min(...row) > 2 && Math.min(...above) > 2) return 3;
    twoAbove = above;
    above = row;
  }
  return Math.min(at(above, b.length), 3);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}
