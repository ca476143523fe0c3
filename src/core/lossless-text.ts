/**
 * The characters that the bytes mean in UTF-8. A byte that belongs to no character becomes a lone surrogate of its own
 * (U+DC80 to U+DCFF), so that different bytes stay different, and `losslessBytes` knows them again.
 */
export function losslessText(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.includes("\ufffd") ? escapeBrokenBytes(bytes) : text;
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

function escapeBrokenBytes(bytes: Buffer): string {
  let text = "";
  for (let index = 0; index < bytes.length;) {
    const length = characterLength(bytes, index);
    text +=
      length === 0
        ? String.fromCharCode(firstSurrogate + (bytes[index] ?? 0))
        : bytes.toString("utf8", index, index + length);
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
