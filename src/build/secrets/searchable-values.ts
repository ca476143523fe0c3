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
  const values = skipped === undefined ? [text.slice(0, longestValue), ...wordsOf(text)] : [];
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
      .sort((a, b) => b.length - a.length)
      .slice(0, mostWords)
  );
}

/** How JSON in base64 begins, as the heads of all JWTs do, and keys: DER, OpenSSH. Others have that too. */
const sharedHead = /^(?:eyJ|MII|b3BlbnNzaC1rZXk)/;

/** How often a letter stands beside a digit. */
function changes(word: string): number {
  return word.match(/[A-Za-z](?=\d)|\d(?=[A-Za-z])/g)?.length ?? 0;
}
