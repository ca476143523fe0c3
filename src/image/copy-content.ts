import { pipeline, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  asRetryable,
  createVerifier,
  isTsbuildError,
  isVouchedFor,
  skipBytes,
  TsbuildError,
  vouchFor,
} from "../core/index.ts";
import { onSide, tellSide } from "./copy-side.ts";
import { inlineContent } from "./read-content.ts";
import type { ContentSink, ContentSource, Descriptor } from "./types.ts";

export interface CopyContentOptions {
  readonly source: ContentSource;
  readonly sink: ContentSink;
  readonly descriptor: Descriptor;
  /** The content, where it is known already. */
  readonly bytes?: Buffer | undefined;
  /** Called with the number of bytes that have passed so far. */
  readonly onBytes?: ((size: number) => void) | undefined;
  /** How often the sink may fail in a way that passes, and milliseconds before the second try (then doubled). */
  readonly retry?: CopyRetry | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyRetry {
  readonly attempts: number;
  readonly firstDelay: number;
}

const defaultRetry: CopyRetry = { attempts: 4, firstDelay: 500 };

/**
 * Moves one piece of content, verified while it streams: the sink sees an error instead of an end when size or
 * digest are wrong. When the sink fails with `details.isRetryable`, the content is fetched and sent again: a stream
 * that a sink has consumed cannot be repeated by the sink itself. So it is when one of several hosts gave wrong bytes.
 * @throws DIGEST_MISMATCH, SIZE_MISMATCH; what the places throw; with `details.side`
 */
export async function copyContent(options: CopyContentOptions): Promise<void> {
  const { attempts, firstDelay } = options.retry ?? defaultRetry;
  const { signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await copyOnce(options);
    } catch (error) {
      if (attempt >= attempts || signal?.aborted === true) throw error;
      if (isWrongFromOne(error)) continue;
      if (!isPassing(error)) throw error;
    }
    await sleep(firstDelay * 2 ** (attempt - 1), undefined, signal === undefined ? {} : { signal });
  }
}

function isPassing(error: unknown): boolean {
  return (
    error instanceof TsbuildError &&
    error.details["side"] === "sink" &&
    error.details["isRetryable"] === true
  );
}

/**
 * Whether content was wrong, and its source knows somebody else who has it: a mirror lied, which shows only at the end,
 * when all has been handed on. Fetching it again asks the others.
 */
function isWrongFromOne(error: unknown): boolean {
  return isMismatch(error) && error.details["isRetryable"] === true;
}

function isMismatch(error: unknown): error is TsbuildError {
  return isTsbuildError(error, "DIGEST_MISMATCH") || isTsbuildError(error, "SIZE_MISMATCH");
}

async function copyOnce(options: CopyContentOptions): Promise<void> {
  const { source, sink, descriptor, signal } = options;
  const known = options.bytes ?? inlineContent(descriptor);
  const begun = known === undefined ? await takeBegun(options) : undefined;
  const content =
    known === undefined
      ? (begun ?? (await onSide("source", source, () => source.fetch(descriptor, signal))))
      : Readable.from([known], { objectMode: false });
  const verified = verify(content, descriptor, source);
  let sourceFailure: { readonly error: unknown } | undefined;
  const watched = watch(verified, {
    onBytes: options.onBytes,
    onError: (error) => (sourceFailure = { error }),
  });
  try {
    const checked = vouchFor(Readable.from(watched, { objectMode: false }), descriptor.digest);
    await sink.push(descriptor, checked, signal);
  } catch (error) {
    if (sourceFailure === undefined) throw tellSide(error, "sink", sink);
    const told = tellSide(sourceFailure.error, "source", source);
    // The kept beginning may be what was wrong: it is gone now, and all is fetched.
    throw begun === undefined || !isMismatch(told) ? told : asRetryable(told);
  } finally {
    // After a failure, and when another writer was faster and the sink returned early.
    content.destroy();
  }
}

/** Content whose beginning the sink has kept and whose rest is fetched; undefined where nothing is kept. */
async function takeBegun(options: CopyContentOptions): Promise<Readable | undefined> {
  const { source, sink, descriptor, signal } = options;
  if (source.fetchFrom === undefined || sink.takePartial === undefined) return undefined;
  const kept = await onSide("sink", sink, async () => sink.takePartial?.(descriptor));
  if (kept === undefined) return undefined;
  const { size, content } = kept;
  if (size > descriptor.size) {
    content.destroy();
    return undefined;
  }
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* content as AsyncIterable<Buffer>;
    if (size === descriptor.size) return;
    yield* await fetchRest({ source, descriptor, size, signal });
  }
  const joined = Readable.from(chunks(), { objectMode: false });
  joined.once("close", () => content.destroy());
  return joined;
}

/** What is behind `size` bytes. Who cannot begin there may still give the whole; a host that is away gives neither. */
async function fetchRest(rest: {
  readonly source: ContentSource;
  readonly descriptor: Descriptor;
  readonly size: number;
  readonly signal: AbortSignal | undefined;
}): Promise<AsyncIterable<Buffer>> {
  const { source, descriptor, size, signal } = rest;
  try {
    const found = await source.fetchFrom?.(descriptor, size, signal);
    if (found !== undefined) return found as AsyncIterable<Buffer>;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (isTsbuildError(error, "CANCELED") || isTsbuildError(error, "REGISTRY_UNREACHABLE")) {
      throw error;
    }
  }
  return skipBytes(await source.fetch(descriptor, signal), size);
}

function verify(content: Readable, descriptor: Descriptor, { label }: ContentSource): Readable {
  if (isVouchedFor(content, descriptor.digest)) return content;
  const verified = createVerifier(descriptor, `${descriptor.digest} from ${label}`);
  // Errors reach whoever reads `verified`; the callback only keeps the pipeline from throwing them again.
  pipeline(content, verified, () => undefined);
  return verified;
}

/**
 * Passes chunks on. The sink can only stop this generator, not put its own errors into the streams behind it, so
 * that an error seen here is the source's for certain.
 */
async function* watch(
  content: Readable,
  watcher: {
    readonly onBytes: ((size: number) => void) | undefined;
    readonly onError: (error: unknown) => void;
  },
): AsyncGenerator<Buffer> {
  let size = 0;
  const chunks = content[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        watcher.onError(error);
        throw error;
      });
      if (next.done === true) return;
      size += next.value.length;
      watcher.onBytes?.(size);
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}
