/** A place in the code that can be jumped to, perhaps before it is known where it lies. */
export interface Label {
  offset: number | undefined;
}

export function newLabel(): Label {
  return { offset: undefined };
}

/** How a jump's distance is written into the code: both architectures differ, the bookkeeping does not. */
export type JumpPatcher = (
  code: DataView,
  jump: { readonly at: number; readonly to: number },
) => void;

interface Jump {
  readonly at: number;
  readonly label: Label;
  readonly patch: JumpPatcher;
}

/** Machine code under construction. */
export class CodeBuffer {
  #bytes = new Uint8Array(16 * 1024);
  #length = 0;
  readonly #jumps: Jump[] = [];

  emit(...bytes: readonly number[]): void {
    if (this.#length + bytes.length > this.#bytes.length) this.#grow();
    for (const byte of bytes) {
      this.#bytes[this.#length] = byte;
      this.#length += 1;
    }
  }

  /** The low 32 bits of an integer, little-endian as both architectures are. */
  emitWord(word: number): void {
    this.emit(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, (word >>> 24) & 0xff);
  }

  /** Remembers that the bytes about to be emitted hold the distance to `label`. */
  jump(label: Label, patch: JumpPatcher): void {
    this.#jumps.push({ at: this.#length, label, patch });
  }

  place(label: Label): void {
    label.offset = this.#length;
  }

  /** The code with all distances filled in. */
  finish(): Uint8Array {
    const code = this.#bytes.slice(0, this.#length);
    const view = new DataView(code.buffer);
    for (const { at, label, patch } of this.#jumps) {
      if (label.offset === undefined) throw new Error(`jump at ${at} leads nowhere`);
      patch(view, { at, to: label.offset });
    }
    return code;
  }
  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
