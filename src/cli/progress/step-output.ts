import { StringDecoder } from "node:string_decoder";

/** A line of a process' output, without its end, and when it began. */
export interface OutputLine {
  readonly text: string;
  readonly time: number;
}

type Channel = "stdout" | "stderr";

interface Partial {
  readonly decoder: StringDecoder;
  text: string;
  time: number;
}

/** Puts the chunks of one step's two streams together to lines. */
export class StepOutput {
  readonly #partials = new Map<Channel, Partial>();

  /** The lines that the chunk ends. */
  push(chunk: {
    readonly stream: Channel;
    readonly bytes: Uint8Array;
    readonly time: number;
  }): OutputLine[] {
    const partial = this.#partialOf(chunk.stream);
    const text = partial.decoder.write(Buffer.from(chunk.bytes));
    const [first = "", ...rest] = text.split("\n");
    if (partial.text === "") partial.time = chunk.time;
    partial.text += first;
    const lines: OutputLine[] = [];
    for (const next of rest) {
      lines.push({ text: withoutReturn(partial.text), time: partial.time });
      partial.text = next;
      partial.time = chunk.time;
    }
    return lines;
  }

  /** What stands behind the last line's end. */
  unfinished(): OutputLine[] {
    return [...this.#partials.values()]
      .filter((partial) => partial.text !== "")
      .map(({ text, time }) => ({ text, time }));
  }

  /** The same, taken as lines because no more will come. */
  end(): OutputLine[] {
    for (const partial of this.#partials.values()) partial.text += partial.decoder.end();
    const lines = this.unfinished();
    this.#partials.clear();
    return lines;
  }

  #partialOf(stream: Channel): Partial {
    const partial = this.#partials.get(stream) ?? {
      decoder: new StringDecoder("utf8"),
      text: "",
      time: 0,
    };
    this.#partials.set(stream, partial);
    return partial;
  }
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
