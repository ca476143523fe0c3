/** Takes exact numbers of bytes off a stream of chunks; without waiting where the bytes are there already. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #current: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** `size` bytes if the current chunk holds them all; a view of it, not a copy. */
  takeNow(size: number): Buffer | undefined {
    const end = this.#offset + size;
    if (end > this.#current.length) return undefined;
    const bytes = this.#current.subarray(this.#offset, end);
    this.#offset = end;
    return bytes;
  }

  /** `size` bytes, or as many as there are before the end. */
  async take(size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      const part = await this.takeSome(missing);
      if (part === undefined) break;
      parts.push(part);
      missing -= part.length;
    }
    const [first] = parts;
    return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
  }

  /** Copies bytes into `target` until it is full or there are no more; how many. */
  async fill(target: Buffer): Promise<number> {
    let length = 0;
    while (length < target.length) {
      const part = await this.takeSome(target.length - length);
      if (part === undefined) break;
      length += part.copy(target, length);
    }
    return length;
  }

  /** At least one byte and at most `limit`; undefined at the end. */
  async takeSome(limit: number): Promise<Buffer | undefined> {
    while (this.#offset === this.#current.length) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      const { value } = next;
      this.#current = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      this.#offset = 0;
    }
    return this.takeNow(Math.min(limit, this.#current.length - this.#offset));
  }

  /** Number of bytes that were there to skip, at most `size`. */
  async skip(size: number): Promise<number> {
    let left = size;
    while (left > 0) {
      const part = await this.takeSome(left);
      if (part === undefined) break;
      left -= part.length;
    }
    return size - left;
  }

  /** Puts bytes back in front, for those who only wanted to look. */
  putBack(bytes: Buffer): void {
    this.#current = Buffer.concat([bytes, this.#current.subarray(this.#offset)]);
    this.#offset = 0;
  }

  /** All bytes that are left, in chunks as they come; stopping early closes the source. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const chunk = await this.takeSome(Infinity);
        if (chunk === undefined) return;
        yield chunk;
      }
    } finally {
      await this.close();
    }
  }

  /** Tells the producer that nobody reads on. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
