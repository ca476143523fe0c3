/**
 * The characters that the bytes mean in UTF-8. A byte that belongs to no character becomes a lone surrogate of its own
 * (U+DC80 to U+DCFF), so that different bytes stay different, and `losslessBytes` knows them again.
 */
export function losslessText(bytes: Buffer): string {
  return decodeUtf8(bytes, surrogateOf);
}

function surrogateOf(byte: number): string {
  return String.fromCharCode(firstSurrogate + byte);
}

/** What `losslessText` was made of. */
export function losslessBytes(text: string): Buffer {
  if (!brokenByte.test(text)) return Buffer.from(text);
  const parts = [...text].map((character) =>
    brokenByte.test(character)
      ? Buffer.of(character.charCodeAt(0) - firstSurrogate)
      : Buffer.from(character),
  );
  return Buffer.concat(parts);
}

const firstSurrogate = 0xdc00;
/** Reading by code points leaves alone the second halves of characters beyond U+FFFF. */
const brokenByte = /[\udc80-\udcff]/u;

/** The characters that the bytes mean in UTF-8, and what `tellByte` says of each byte that belongs to no character. */
export function decodeUtf8(bytes: Buffer, tellByte: (byte: number) => string): string {
  const whole = bytes.toString("utf8");
  // U+FFFD comes from broken bytes, or stands there honestly; only the slow way can tell.
  if (!whole.includes("\ufffd")) return whole;
  let text = "";
  for (let index = 0; index < bytes.length;) {
    const length = characterLength(bytes, index);
    text +=
      length === 0 ? tellByte(bytes[index] ?? 0) : bytes.toString("utf8", index, index + length);
    index += Math.max(length, 1);
  }
  return text;
}

/** Bytes of the UTF-8 character at `start`; 0 when there is none. */
function characterLength(bytes: Buffer, start: number): number {
  for (let length = 1; length <= 4 && start + length <= bytes.length; length++) {
    const candidate = bytes.subarray(start, start + length);
    if (Buffer.from(candidate.toString("utf8")).equals(candidate)) return length;
  }
  return 0;
}
