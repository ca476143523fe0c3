/**
 * A path as a string with one character a byte (latin1). It is a Map key, sorts in byte order, and loses nothing of a
 * name that is not UTF-8; for the usual ASCII name it is also the text itself.
 */
export type ByteString = string;

const ascii = /^[\0-\x7f]*$/;

export function byteString(bytes: Buffer): ByteString {
  return bytes.toString("latin1");
}

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, "latin1");
}

export function isAscii(text: string): boolean {
  return ascii.test(text);
}

/**
 * The characters that the bytes mean in UTF-8, for matching patterns. A byte that belongs to no character becomes a lone
 * surrogate of its own (U+DC80 to U+DCFF), so that different names stay different and `?` takes it as one character.
 */
export function textOf(path: ByteString): string {
  if (isAscii(path)) return path;
  const bytes = bytesOf(path);
  const text = bytes.toString("utf8");
  return text.includes("\ufffd") ? escapeBrokenBytes(bytes) : text;
}

function escapeBrokenBytes(bytes: Buffer): string {
  let text = "";
  for (let index = 0; index < bytes.length;) {
    const length = characterLength(bytes, index);
    text +=
      length === 0
        ? String.fromCharCode(0xdc00 + (bytes[index] ?? 0))
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
