import { pipeline, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { createVerifier, isVouchedFor, TsbuildError, vouchFor } from "../core/index.ts";
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
 * that a sink has consumed cannot be repeated by the sink itself.
 * @throws DIGEST_MISMATCH, SIZE_MISMATCH; what the places throw; with `details.side`
 */
export async function copyContent(options: CopyContentOptions): Promise<void> {
  const { attempts, firstDelay } = options.retry ?? defaultRetry;
  const { signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await copyOnce(options);
    } catch (error) {
      if (attempt >= attempts || !isPassing(error) || signal?.aborted === true) throw error;
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

async function copyOnce(options: CopyContentOptions): Promise<void> {
  const { source, sink, descriptor, signal } = options;
  const known = options.bytes ?? inlineContent(descriptor);
  const content =
    known === undefined
      ? await onSide("source", source, () => source.fetch(descriptor, signal))
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
    throw sourceFailure === undefined
      ? tellSide(error, "sink", sink)
      : tellSide(sourceFailure.error, "source", source);
  } finally {
    // After a failure, and when another writer was faster and the sink returned early.
    content.destroy();
  }
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
