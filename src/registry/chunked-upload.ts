import type { Readable } from "node:stream";
import {
  discardBody,
  isRetryableError,
  isTsbuildError,
  retryDelay,
  waitFor,
  type HttpResponse,
  type RetryPolicy,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { registryError } from "./errors.ts";
import { tooLargeHint } from "./response-error.ts";
import {
  cancelUpload,
  finishUpload,
  locationOf,
  lostUpload,
  uploadAttempt,
  type UploadPlace,
  type UploadSession,
} from "./upload.ts";

/** Bytes of a chunk, held in memory so that it can be sent again. */
export const usualChunk = 16 * 1024 * 1024;
/** Chunks do not get smaller than this, however often a registry calls them too large. */
const smallestChunk = 256 * 1024;
/** A registry that wants larger chunks than this gets blobs in one piece. */
export const largestChunk = 64 * 1024 * 1024;

export interface ChunkedUpload {
  readonly session: UploadSession;
  readonly descriptor: Descriptor;
  readonly content: Readable;
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Sends a blob in chunks. A chunk that breaks on the way is continued where the registry says that it has got to; one
 * that is too large for it (413) is sent in smaller ones.
 * @throws REGISTRY_* codes; with details.isRetryable when a fresh upload of the same blob may succeed
 * @see OCI distribution spec, "Pushing a blob in chunks"
 */
export async function sendBlobInChunks(place: UploadPlace, upload: ChunkedUpload): Promise<void> {
  const { session, descriptor, content, signal } = upload;
  const sender = new ChunkSender(place, upload);
  try {
    for await (const piece of inPieces(content, Math.max(usualChunk, session.minChunk))) {
      await sender.send(piece);
    }
    const empty = new Uint8Array();
    await finishUpload(place, { location: sender.location, descriptor, body: empty, signal });
  } catch (error) {
    await cancelUpload(place, sender);
    throw error;
  }
}

class ChunkSender {
  /** Where the next request goes. */
  location: URL;
  readonly #place: UploadPlace;
  readonly #upload: ChunkedUpload;
  readonly #attempt: string;
  /** Bytes that the registry has. */
  #offset = 0;
  #size: number;

  constructor(place: UploadPlace, upload: ChunkedUpload) {
    this.#place = place;
    this.#upload = upload;
    this.#attempt = uploadAttempt(place, upload.descriptor);
    this.location = upload.session.location;
    this.#size = Math.max(usualChunk, upload.session.minChunk);
  }

  async send(piece: Buffer): Promise<void> {
    const start = this.#offset;
    const { policy, signal } = this.#upload;
    for (let failures = 0; this.#offset < start + piece.length;) {
      const rest = piece.subarray(this.#offset - start);
      const before = this.#offset;
      const failure = await this.#trySend(rest.subarray(0, this.#size));
      if (failure === undefined || this.#offset > before) {
        failures = 0;
        continue;
      }
      failures += 1;
      if (failures >= policy.attempts) throw failure;
      await waitFor(retryDelay({ attempt: failures, policy }), signal);
    }
  }

  /** Sends one chunk; afterwards `#offset` is what the registry has. A failure that may pass is returned. */
  async #trySend(chunk: Buffer): Promise<Error | undefined> {
    const end = this.#offset + chunk.length;
    let failure: Error;
    try {
      const response = await this.#patch(chunk);
      await discardBody(response);
      if (response.status === 404) throw lostUpload(this.#place, this.#attempt);
      if (response.status === 413 && this.#makeSmaller()) return undefined;
      if (response.status < 300) {
        this.location = locationOf(response, this.#place);
        this.#offset = end;
        return undefined;
      }
      failure = this.#refused(response.status);
      if (response.status === 413) throw failure;
    } catch (error) {
      if (!(error instanceof Error) || !isRetryableError(error) || isLost(error)) throw error;
      failure = error;
    }
    await this.#askOffset(end);
    return failure;
  }

  #patch(chunk: Buffer): Promise<HttpResponse> {
    const range = `${String(this.#offset)}-${String(this.#offset + chunk.length - 1)}`;
    return this.#place.transport.send({
      method: "PATCH",
      target: this.location,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(chunk.length),
        "content-range": range,
      },
      body: chunk,
      // Part of it may have arrived: sending it again unasked would append it a second time.
      once: true,
      accept: [200, 201, 202, 204, 404, 413, 416],
      attempt: this.#attempt,
      signal: this.#upload.signal,
    });
  }

  #refused(status: number): Error {
    return registryError("REGISTRY_FAILED", `${this.#attempt}: a chunk is refused`, {
      hint: status === 413 ? tooLargeHint : undefined,
      details: { host: this.#place.host, status, isRetryable: status !== 413 },
    });
  }

  #makeSmaller(): boolean {
    const smaller = Math.floor(this.#size / 4);
    if (smaller < Math.max(smallestChunk, this.#upload.session.minChunk)) return false;
    this.#size = smaller;
    return true;
  }

  /** Asks how far the upload has got. What was sent before the current chunk cannot be sent again. */
  async #askOffset(end: number): Promise<void> {
    const response = await this.#place.transport.send({
      method: "GET",
      target: this.location,
      accept: [200, 202, 204, 404],
      attempt: `${this.#attempt}: ask how far it has got`,
      signal: this.#upload.signal,
    });
    await discardBody(response);
    const last = /(\d+)-(\d+)$/.exec(response.header("range") ?? "")?.[2];
    // Registries say 0-0 of an upload that has nothing yet.
    const offset = last === undefined || last === "0" ? 0 : Number(last) + 1;
    if (response.status === 404 || offset < this.#offset || offset > end) {
      throw lostUpload(this.#place, this.#attempt);
    }
    this.#offset = offset;
    if (response.header("location") !== undefined)
      this.location = locationOf(response, this.#place);
  }
}

function isLost(error: unknown): boolean {
  return isTsbuildError(error) && error.details["status"] === 404;
}

/** The content in pieces of exactly `size` bytes, the last one shorter. */
async function* inPieces(content: Readable, size: number): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let length = 0;
  for await (const chunk of content) {
    let rest = chunk as Buffer;
    while (length + rest.length >= size) {
      yield Buffer.concat([...held, rest.subarray(0, size - length)]);
      rest = rest.subarray(size - length);
      held = [];
      length = 0;
    }
    held.push(rest);
    length += rest.length;
  }
  if (length > 0) yield Buffer.concat(held);
}
