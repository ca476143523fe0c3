import { Readable } from "node:stream";
import {
  isRetryableError,
  isTsbuildError,
  retryDelay,
  skipBytes,
  waitFor,
  type HttpResponse,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { Bucket } from "./bucket.ts";
import { objectStorageError } from "./errors.ts";

export interface DownloadRequest {
  readonly bucket: Bucket;
  readonly key: string;
  readonly descriptor: Descriptor;
  /** Bytes at the beginning that are known already. */
  readonly offset: number;
  readonly signal: AbortSignal | undefined;
}

/** So many bytes of progress make an interrupted download as good as a new one. */
const progressWorthPatience = 1024 * 1024;

/** Starts to read a blob. When the connection breaks on the way, reading goes on where it broke off. */
export async function downloadObject(request: DownloadRequest): Promise<Readable> {
  const first = await open(request, request.offset);
  let current = first;
  async function* chunks(): AsyncGenerator<Buffer> {
    const { size } = request.descriptor;
    let { offset } = request;
    let failures = 0;
    for (let resumed = offset; ; resumed = offset) {
      try {
        for await (const chunk of current.body) {
          offset += (chunk as Buffer).length;
          yield chunk as Buffer;
          // More than was promised is for whoever verifies.
          if (offset > size) return;
        }
        if (offset === size) return;
        throw cutShort(request, offset);
      } catch (error) {
        if (offset - resumed >= progressWorthPatience) failures = 0;
        failures += 1;
        await waitBefore(failures, error, request);
        current = await open(request, offset);
      }
    }
  }
  const content = Readable.from(chunks(), { objectMode: false });
  // A stream that nobody began to read would keep its connection.
  content.once("close", () => current.body.destroy());
  return content;
}

/** @throws the error itself when another try is of no use */
async function waitBefore(
  failures: number,
  error: unknown,
  { bucket, descriptor, signal }: DownloadRequest,
): Promise<void> {
  const { policy } = bucket;
  const isFinal = isTsbuildError(error, "CANCELED") || !isRetryableError(error);
  if (isFinal || failures >= policy.attempts) {
    throw bucket.unreachable(error, `read blob ${descriptor.digest}`);
  }
  await waitFor(retryDelay({ attempt: failures, policy }), signal);
}

async function open(request: DownloadRequest, offset: number): Promise<HttpResponse> {
  const { bucket, key, descriptor, signal } = request;
  const response = await bucket.send({
    ...{ method: "GET", key, signal },
    ...(offset === 0 ? {} : { headers: { range: `bytes=${String(offset)}-` } }),
    accept: offset === 0 ? [200] : [200, 206],
    attempt: `read blob ${descriptor.digest} of bucket ${bucket.settings.bucket}`,
  });
  const isWhole = response.status === 200;
  if (offset === 0 || !isWhole) return response;
  // A server that knows no ranges begins again.
  const body = Readable.from(skipBytes(response.body, offset), { objectMode: false });
  return { ...response, body };
}

function cutShort({ descriptor }: DownloadRequest, offset: number): Error {
  const { digest, size } = descriptor;
  return objectStorageError(
    "OBJECT_STORAGE_FAILED",
    `read blob ${digest}: it ends after ${String(offset)} of ${String(size)} bytes`,
    { details: { expected: size, found: offset, isRetryable: true } },
  );
}
