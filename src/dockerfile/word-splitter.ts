import { isSpace } from "./characters.ts";

/** Collects characters into words as they come; only characters marked as splitting end a word. */
export class WordSplitter {
  readonly #words: string[] = [];
  #word = "";

  /** Characters of which blanks separate words. */
  addSplitting(text: string): void {
    let start = 0;
    for (let index = 0; index < text.length; index++) {
      if (!isSpace(text.charAt(index))) continue;
      this.#word += text.slice(start, index);
      this.#end();
      start = index + 1;
    }
    this.#word += text.slice(start);
  }

  addWhole(text: string): void {
    this.#word += text;
  }

  finish(): readonly string[] {
    this.#end();
    return this.#words;
  }

  #end(): void {
    if (this.#word !== "") this.#words.push(this.#word);
    this.#word = "";
  }
}
