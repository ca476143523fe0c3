/** A stream that looks like a terminal and knows what a terminal would show. */
export class TerminalScreen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  cursorHidden = false;
  /** Every write, as it came. */
  readonly writes: string[] = [];
  readonly #lines: string[] = [""];
  readonly #resized = new Set<() => void>();
  #row = 0;
  #column = 0;

  constructor(size: { readonly columns: number; readonly rows: number }) {
    this.columns = size.columns;
    this.rows = size.rows;
  }

  on(_event: "resize", listener: () => void): void {
    this.#resized.add(listener);
  }

  off(_event: "resize", listener: () => void): void {
    this.#resized.delete(listener);
  }

  get listeners(): number {
    return this.#resized.size;
  }

  /** Makes it narrower or wider; lines that are too long wrap, as terminals do. */
  resize(columns: number): void {
    const wrapped = this.#lines.flatMap((line) => wrap(line, columns));
    this.#lines.splice(0, this.#lines.length, ...wrapped);
    this.#row = this.#lines.length - 1;
    this.columns = columns;
    for (const listener of this.#resized) listener();
  }

  write(text: string): void {
    this.writes.push(text);
    for (const part of text.match(/\u001b\[[?\d;]*[A-Za-z]|[^\u001b]/gsu) ?? []) this.#put(part);
  }

  /** What was ever shown and not overwritten, without trailing blanks. */
  get text(): string {
    return this.#lines.map((line) => line.trimEnd()).join("\n");
  }

  #put(part: string): void {
    if (part === "\n") {
      this.#row++;
      this.#column = 0;
      this.#lines[this.#row] ??= "";
    } else if (part === "\r") this.#column = 0;
    else if (part.startsWith("\u001b[")) this.#control(part);
    else {
      // Wraps late, as terminals do: only what comes behind the last column goes to the next line.
      if (this.#column >= this.columns) this.#put("\n");
      const line = (this.#lines[this.#row] ?? "").padEnd(this.#column);
      this.#lines[this.#row] = line.slice(0, this.#column) + part + line.slice(this.#column + 1);
      this.#column++;
    }
  }

  #control(sequence: string): void {
    const line = this.#lines[this.#row] ?? "";
    if (sequence.endsWith("A")) this.#row = Math.max(this.#row - Number(sequence.slice(2, -1)), 0);
    else if (sequence.endsWith("K")) this.#lines[this.#row] = line.slice(0, this.#column);
    else if (sequence.endsWith("J")) {
      this.#lines[this.#row] = line.slice(0, this.#column);
      this.#lines.splice(this.#row + 1);
    } else if (sequence === "\u001b[?25l") this.cursorHidden = true;
    else if (sequence === "\u001b[?25h") this.cursorHidden = false;
    else if (!/^\u001b\[(\?2026[hl]|[\d;]*m)$/.test(sequence))
      throw new Error(`unexpected control sequence ${JSON.stringify(sequence)}`);
  }
}

function wrap(line: string, columns: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at === 0 || at < line.length; at += columns)
    pieces.push(line.slice(at, at + columns));
  return pieces;
}
