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

  /**
   * Whole lines, the newest last; at most 4 KiB. What was shown while the step ran is the command's own business, but
   * this goes into an error, which is kept and passed on: so `secrets` are blotted out.
   */
  text(secrets: readonly Uint8Array[] = []): string {
    const all = Buffer.concat(this.#chunks);
    const tail = blotOut(all.subarray(-limit).toString("utf8"), secrets);
    if (!this.#dropped && all.length <= limit) return tail;
    return tail.slice(tail.indexOf("\n") + 1);
  }
}

/** Secrets, and the lines of those that have several: the tail may begin in the middle of one. */
function blotOut(text: string, secrets: readonly Uint8Array[]): string {
  const words = secrets
    .map((secret) => Buffer.from(secret).toString("utf8").trim())
    .flatMap((secret) => [secret, ...secret.split("\n").filter((line) => line.length >= 8)])
    .filter((word) => word !== "")
    .sort((a, b) => b.length - a.length);
  return words.reduce((rest, word) => rest.replaceAll(word, "****"), text);
}
