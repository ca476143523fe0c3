import { displayWidth, truncate } from "./terminal-text.ts";
import type { ProgressStream } from "./types.ts";

const escape = "\u001b[";
const hideCursor = `${escape}?25l`;
const showCursor = `${escape}?25h`;
const clearToLineEnd = `${escape}K`;
const clearBelow = `${escape}J`;
/** Terminals that know mode 2026 show the frame when it is whole; others ignore it. */
const beginFrame = `${escape}?2026h`;
const endFrame = `${escape}?2026l`;

/**
 * The last lines of a terminal, drawn again and again in place. Each frame is one write that overwrites the lines and
 * clears only what is left over, so nothing flickers. The cursor is hidden meanwhile, and is shown again by `close` or
 * when the process exits, whichever comes first.
 */
export class LiveRegion {
  readonly #stream: ProgressStream;
  readonly #onResize: () => void;
  /** Lines as they stand on the screen. */
  #lines: readonly string[] = [];
  #last = "";
  #isOpen = false;

  /** `redraw` is called when the terminal got another size. */
  constructor(stream: ProgressStream, redraw: () => void) {
    this.#stream = stream;
    this.#onResize = () => {
      this.#last = "";
      redraw();
    };
  }

  /**
   * Width that a line may have: the last column stays free, since writing there may wrap. A pseudo-terminal whose size
   * nobody has set calls itself 0 by 0.
   */
  get columns(): number {
    return Math.max((this.#stream.columns || 80) - 1, 1);
  }

  get rows(): number {
    return Math.max(this.#stream.rows || 24, 1);
  }

  /** Writes `above`, which then scrolls up and stays, and replaces the region's lines by `lines`. */
  draw(above: readonly string[], lines: readonly string[]): void {
    const shown = lines.map((line) => truncate(line, this.columns)).slice(0, this.rows - 1);
    const text = shown.join("\n");
    if (above.length === 0 && text === this.#last) return;
    this.#open();
    this.#stream.write(
      `${beginFrame}${this.#toTop()}${linesOf(above)}${linesOf(shown)}${clearBelow}${endFrame}`,
    );
    this.#lines = shown;
    this.#last = text;
  }

  /** Replaces the region by `lines`, which stay, and gives the terminal back. */
  close(lines: readonly string[]): void {
    const restore = this.#isOpen ? `${clearBelow}${showCursor}` : "";
    const text = `${this.#toTop()}${linesOf(lines)}${restore}`;
    if (text !== "") this.#stream.write(text);
    this.#lines = [];
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.off?.("resize", this.#onResize);
    process.off("exit", this.#restoreCursor);
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#stream.on?.("resize", this.#onResize);
    process.on("exit", this.#restoreCursor);
    this.#stream.write(hideCursor);
  }

  readonly #restoreCursor = (): void => {
    this.#stream.write(showCursor);
  };

  /** To the region's first line. A terminal that became narrower has wrapped what was wider. */
  #toTop(): string {
    const width = Math.max(this.#stream.columns || 80, 1);
    let rows = 0;
    for (const line of this.#lines) rows += Math.max(Math.ceil(displayWidth(line) / width), 1);
    return rows === 0 ? "" : `\r${escape}${String(Math.min(rows, this.rows))}A`;
  }
}

function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}${clearToLineEnd}\n`).join("");
}
