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

const firstCapacity = 16 * 1024;
/** No single append is longer. */
const maxAppend = 16;

/** Machine code under construction. Most programs are made once, in code that never gets hot: so plain loops only. */
export class CodeBuffer {
  #view = new DataView(new ArrayBuffer(firstCapacity));
  #length = 0;
  readonly #jumps: Jump[] = [];

  emit(...bytes: readonly number[]): void {
    this.#reserve();
    for (let i = 0; i < bytes.length; i += 1) this.#view.setUint8(this.#length + i, bytes[i] ?? 0);
    this.#length += bytes.length;
  }

  /** The lowest `size` bytes of `bytes`, at most four. What is emitted often goes this way, which makes no array. */
  emitShort(bytes: number, size: number): void {
    this.#reserve();
    this.#view.setUint32(this.#length, bytes, true);
    this.#length += size;
  }

  /** The same, and a word behind them. */
  emitWithWord(bytes: number, size: number, word: number): void {
    this.#reserve();
    this.#view.setUint32(this.#length, bytes, true);
    this.#view.setUint32(this.#length + size, word, true);
    this.#length += size + 4;
  }

  /** The low 32 bits of an integer, little-endian as both architectures are. */
  emitWord(word: number): void {
    this.#reserve();
    this.#view.setUint32(this.#length, word, true);
    this.#length += 4;
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
    const code = this.#view.buffer.slice(0, this.#length);
    const view = new DataView(code);
    for (const { at, label, patch } of this.#jumps) {
      if (label.offset === undefined) throw new Error(`jump at ${at} leads nowhere`);
      patch(view, { at, to: label.offset });
    }
    return new Uint8Array(code);
  }

  #reserve(): void {
    const { buffer, byteLength } = this.#view;
    if (this.#length + maxAppend <= byteLength) return;
    const grown = new Uint8Array(byteLength * 2);
    grown.set(new Uint8Array(buffer));
    this.#view = new DataView(grown.buffer);
  }
}
