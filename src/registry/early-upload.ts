import { Readable } from "node:stream";
import { discardBody, skipBytes } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { BlobInTheMaking } from "./types.ts";
import {
  cancelUpload,
  finishUpload,
  locationOf,
  openUpload,
  type UploadPlace,
  type UploadSession,
} from "./upload.ts";

/** Smaller blobs are sent when they are whole: the registry can be asked first whether it has them. */
const worthSending = 1024 * 1024;
/** Bytes that may wait in memory. A registry that is further behind gets the rest from the whole blob. */
const heldInMemory = 4 * 1024 * 1024;

/** Milliseconds between two looks at an upload that is waited for, and looks that may see nothing move. */
const lookEvery = 1000;
const looksInVain = 10;
/** Bytes that a proxy hands on between two looks, if it took all of them first. */
const handedOn = 50 * 1024 * 1024;

/** See `RegistryRepository.beginBlob`. */
export class EarlyUpload implements BlobInTheMaking {
  readonly #open: () => Promise<UploadPlace>;
  readonly #isThere: (descriptor: Descriptor) => Promise<boolean>;
  readonly #onSent: ((size: number) => void) | undefined;
  readonly #onStalled: () => void;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  /** Some bytes were not kept, nor were those after them. */
  #isBehind = false;
  #session: UploadSession | undefined;
  #body: Readable | undefined;
  /** Bytes that were put into the body. */
  #taken = 0;
  /** Where the upload goes on when all bytes are there; undefined when it failed. */
  #sent: Promise<URL | undefined> | undefined;
  #readRest: (() => Promise<Readable>) | undefined;
  #wake: (() => void) | undefined;

  constructor(options: {
    readonly open: () => Promise<UploadPlace>;
    readonly isThere: (descriptor: Descriptor) => Promise<boolean>;
    /** Called with the number of bytes that were taken so far. */
    readonly onSent?: ((size: number) => void) | undefined;
    /** Called when it is given up because nothing moves. */
    readonly onStalled: () => void;
    readonly signal: AbortSignal | undefined;
  }) {
    const { signal } = options;
    this.#onSent = options.onSent;
    this.#onStalled = options.onStalled;
    this.#open = options.open;
    this.#isThere = options.isThere;
    this.#signal = AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]);
  }

  write(chunk: Uint8Array): void {
    if (this.#isBehind) return;
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    this.#isBehind = this.#queued > heldInMemory;
    if (this.#queued >= worthSending) this.#sent ??= this.#send().catch(() => undefined);
    this.#wake?.();
  }

  async finish(descriptor: Descriptor, open: () => Promise<Readable>): Promise<void> {
    if (this.#sent === undefined) return;
    try {
      // What is on its way for long may be there already, from another image.
      if (this.#isBehind && (await this.#isThere(descriptor))) return await this.cancel();
      this.#readRest = open;
      this.#wake?.();
      const location = await this.#watched(this.#sent);
      if (location === undefined) return await this.cancel();
      const [place, signal, body] = [await this.#open(), this.#signal, new Uint8Array()];
      await finishUpload(place, { location, descriptor, body, signal });
    } catch {
      await this.cancel();
    }
  }

  async cancel(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    await this.#sent;
    if (this.#session !== undefined) await cancelUpload(await this.#open(), this.#session);
  }

  /**
   * Some proxies wait for the end of a request without a length, or lose it. Whole blobs pass there: that it was tried must
   * not cost the two minutes of silence that others are allowed.
   */
  async #watched<T>(sending: Promise<T>): Promise<T> {
    let [moved, vain] = [-1, 0];
    const timer = setInterval(() => {
      // What was taken may still wait in the body.
      const now = this.#taken - (this.#body?.readableLength ?? 0);
      vain = now === moved ? vain + 1 : 0;
      moved = now;
      if (vain < looksInVain + this.#taken / handedOn) return;
      this.#onStalled();
      this.#stop.abort();
    }, lookEvery);
    try {
      return await sending;
    } finally {
      clearInterval(timer);
    }
  }

  async #send(): Promise<URL> {
    const [place, signal] = [await this.#open(), this.#signal];
    const session = await openUpload(place, { signal });
    if (session === undefined) throw new Error("no upload was opened");
    this.#session = session;
    const body = Readable.from(this.#chunks(), { objectMode: false, highWaterMark: worthSending });
    this.#body = body;
    const response = await place.transport.send({
      method: "PATCH",
      target: session.location,
      headers: { "content-type": "application/octet-stream" },
      body,
      accept: [200, 201, 202, 204],
      attempt: `send a blob to ${place.host}/${place.path}`,
      signal,
    });
    await discardBody(response);
    return locationOf(response, place);
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk === undefined) {
        if (this.#signal.aborted) return;
        if (this.#readRest !== undefined) break;
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      this.#queued -= chunk.length;
      yield this.#take(chunk);
    }
    if (!this.#isBehind) return;
    for await (const chunk of skipBytes(await this.#readRest(), this.#taken)) {
      yield this.#take(chunk);
    }
  }

  #take(chunk: Uint8Array): Uint8Array {
    this.#taken += chunk.length;
    this.#onSent?.(this.#taken);
    return chunk;
  }
}

/** Where nothing is sent before it is whole. */
export const noEarlyUpload: BlobInTheMaking = {
  write: () => undefined,
  finish: () => Promise.resolve(),
  cancel: () => Promise.resolve(),
};
