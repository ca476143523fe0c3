/** What is looked for of one secret. */
export interface SearchableSecret {
  /** The secret without the line break at its end, and its words that are secrets by themselves. */
  readonly values: readonly Buffer[];
  /** Why nothing is looked for; undefined when something is. */
  readonly skipped: string | undefined;
}

/** Bytes of a secret that are compared at most: nobody has two that begin alike for so long. */
const longestValue = 4096;
const shortestValue = 8;
/** From here on also ordinary words and numbers are looked for: nobody writes so many of them by chance. */
const longEnough = 16;
const fewestBytes = 5;
const shortestWord = 20;
const mostWords = 16;

/**
 * What to look for of a secret. Short and ordinary texts would be found where nobody put them, so these are left out: less
 * than 8 bytes; less than 16 bytes of nothing but ordinary words and numbers (`production`, `us-east-1`); fewer than 5
 * different bytes; certificates and public keys, which are no secrets.
 */
export function searchableValues(secret: Buffer): SearchableSecret {
  const text = withoutPublicKeys(secret.toString("latin1")).replace(/(?:\r?\n)+$/, "");
  const skipped = whySkipped(text);
  // One character a byte.
  const words = skipped === undefined ? longestOf([...wordsOf(text), ...keysOf(text)]) : [];
  const values = skipped === undefined ? [text.slice(0, longestValue), ...words] : [];
  return { values: [...new Set(values)].map((value) => Buffer.from(value, "latin1")), skipped };
}

function whySkipped(text: string): string | undefined {
  if (text.trim() === "") return "it is empty, or a certificate";
  if (text.length < shortestValue) return `it is shorter than ${shortestValue} bytes`;
  if (new Set(text).size < fewestBytes)
    return `it has fewer than ${fewestBytes} different characters`;
  return text.length < longEnough && isOrdinary(text)
    ? `it is shorter than ${longEnough} bytes and made of ordinary words or numbers`
    : undefined;
}

/** Nowhere a letter beside a digit, a capital behind a small letter, or anything beyond ASCII. */
function isOrdinary(text: string): boolean {
  return !/[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]|[^ -~]/.test(text);
}

function withoutPublicKeys(text: string): string {
  return text.replaceAll(
    /-----BEGIN ([A-Z0-9 ]*(?:CERTIFICATE|PUBLIC KEY)[A-Z0-9 ]*)-----.*?-----END \1-----\s*/gs,
    "",
  );
}

/**
 * The token in `//registry/:_authToken=…`, the lines of a key: long words in which letters and digits change so often
 * that nobody has thought of them. The names of hosts and settings beside them may stand anywhere.
 */
function wordsOf(text: string): readonly string[] {
  return (
    text
      // In JSON a line break is `\n`.
      .split(/(?:\\[nrt]|[^A-Za-z0-9+_-])+/)
      .filter((word) => word.length >= shortestWord && changes(word) >= 3 && !sharedHead.test(word))
  );
}

/**
 * Keys that are base64 with slashes in it, as AWS gives them out: a slash ends a word, and what is before and behind it may
 * be too short for one. Paths are of the same characters. What tells them apart is how often small letters, capitals and
 * digits change; of a length that only AWS has, less of it will do.
 */
function keysOf(text: string): readonly string[] {
  return text.split(/(?:\\[nrt]|[^A-Za-z0-9+/])+/).filter((word) => {
    if (!/\d/.test(word) || sharedHead.test(word)) return false;
    if (word.length === awsKeyLength) return classChanges(word) >= word.length / 4;
    return (
      word.includes("/") && word.length >= shortestWord && classChanges(word) >= word.length * 0.45
    );
  });
}

const awsKeyLength = 40;

/** How often a small letter, a capital or a digit stands beside one of another kind. */
function classChanges(word: string): number {
  const pattern = /[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|\d(?=[A-Za-z])/g;
  return word.match(pattern)?.length ?? 0;
}

function longestOf(words: readonly string[]): readonly string[] {
  return words.toSorted((a, b) => b.length - a.length).slice(0, mostWords);
}

/** How JSON in base64 begins, as the heads of all JWTs do, and keys: DER, OpenSSH. Others have that too. */
const sharedHead = /^(?:eyJ|MII|b3BlbnNzaC1rZXk)/;

/** How often a letter stands beside a digit. */
function changes(word: string): number {
  return word.match(/[A-Za-z](?=\d)|\d(?=[A-Za-z])/g)?.length ?? 0;
}
