import { losslessText } from "../core/index.ts";

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

/** The characters that the bytes mean, as `losslessText` tells them, for matching patterns: `?` takes a broken byte as one. */
export function textOf(path: ByteString): string {
  return isAscii(path) ? path : losslessText(bytesOf(path));
}
