const limit = 4096;

/** Keeps the last few KiB of what a step wrote, for the message when it fails. */
export class OutputTail {
  #chunks: Uint8Array[] = [];
  #size = 0;
  #dropped = false;

  add(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    if (this.#size < 16 * limit) return;
    this.#chunks = [Buffer.concat(this.#chunks).subarray(-limit)];
    this.#size = limit;
    this.#dropped = true;
  }

  /** Whole lines, the newest last; at most 4 KiB. */
  text(): string {
    const all = Buffer.concat(this.#chunks);
    const tail = all.subarray(-limit).toString("utf8");
    if (!this.#dropped && all.length <= limit) return tail;
    return tail.slice(tail.indexOf("\n") + 1);
  }
}
