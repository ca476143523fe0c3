import { createReadStream } from "node:fs";
import { unlink } from "node:fs/promises";
import { copyContent, type ContentSink, type ContentSource } from "../image/index.ts";
import type { WrittenPack } from "./pack-writer.ts";

/** Packs that are on their way at the same time, beside the one that is being written. */
const atMost = 3;

/** Brings packs to a sink beside the work that makes them, and removes their files. */
export class PackSender {
  readonly sent = { count: 0, bytes: 0 };
  readonly #sink: ContentSink;
  readonly #signal: AbortSignal;
  readonly #limit: number;
  readonly #onWay = new Set<Promise<void>>();

  constructor(sink: ContentSink, signal: AbortSignal) {
    this.#sink = sink;
    this.#signal = signal;
    this.#limit = sink.isSequential === true ? 1 : atMost;
  }

  /** Resolves when there is room for another one. @throws what an earlier one met */
  async send(pack: WrittenPack): Promise<void> {
    const work = this.#sendOne(pack);
    // Told by whoever waits for it.
    work.catch(() => undefined);
    this.#onWay.add(work);
    if (this.#onWay.size >= this.#limit) await Promise.race(this.#onWay);
  }

  /** Waits for all that are on their way. @throws what one of them met */
  async finish(): Promise<void> {
    await Promise.all(this.#onWay);
  }

  /** The same, whatever became of them. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#onWay);
  }

  async #sendOne(pack: WrittenPack): Promise<void> {
    const { descriptor, path } = pack;
    if (!(await this.#sink.has(descriptor, this.#signal))) {
      const source = fileSource(path);
      await copyContent({ source, sink: this.#sink, descriptor, signal: this.#signal });
      this.sent.count += 1;
      this.sent.bytes += descriptor.size;
    }
    await unlink(path);
  }
}

function fileSource(path: string): ContentSource {
  return {
    label: "new chunks",
    fetch: () => Promise.resolve(createReadStream(path, { highWaterMark: 1024 * 1024 })),
    resolve: () => Promise.resolve(undefined),
  };
}
