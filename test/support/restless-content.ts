// Contents of files that say by themselves where they come from: every content has a serial number, which its bytes
// repeat together with their own position. So a reader can tell which content, or which mixture, it was given.

/** A content that a file had at some moment. */
export type FileState =
  /** The first `from` to `to` bytes of the content of this number: while it is written, every length between. */
  | { readonly kind: "plain"; readonly serial: number; readonly from: number; readonly to: number }
  /** While it is written over another one from front to back: so much of it, and then the rest of the other one. */
  | {
      readonly kind: "over";
      readonly serial: number;
      readonly length: number;
      readonly below: { readonly serial: number; readonly length: number };
    };

const cellSize = 16;

/** The first `length` bytes of the content of this number. */
export function contentOf(serial: number, length: number): Buffer {
  const number = serial.toString(36).padStart(7, "0");
  const cells = Math.ceil(length / cellSize);
  const text = Array.from(
    { length: cells },
    (_, index) => `${number}:${index.toString(36).padStart(7, "0")}\n`,
  );
  return Buffer.from(text.join(""), "latin1").subarray(0, length);
}

/** Whether a file in this state has this content. */
export function isContentOf(state: FileState, content: Buffer): boolean {
  const { length } = content;
  switch (state.kind) {
    case "plain":
      if (length < state.from || length > state.to) return false;
      return contentOf(state.serial, length).equals(content);
    case "over": {
      const { below } = state;
      const written = sharedLength(contentOf(state.serial, state.length), content);
      if (written === length) return length >= below.length;
      const rest = contentOf(below.serial, below.length);
      return length === below.length && rest.subarray(written).equals(content.subarray(written));
    }
  }
}

function sharedLength(one: Buffer, other: Buffer): number {
  const most = Math.min(one.length, other.length);
  if (one.subarray(0, most).equals(other.subarray(0, most))) return most;
  let at = 0;
  while (one[at] === other[at]) at += 1;
  return at;
}
