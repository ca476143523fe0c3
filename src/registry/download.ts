import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { HttpResponse } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { registryError } from "./errors.ts";
import { isRetryableError, retryDelay, waitFor, type RetryPolicy } from "./retry.ts";
import { unreachableError, type Transport } from "./transport.ts";

export interface DownloadOptions {
  readonly transport: Transport;
  readonly descriptor: Descriptor;
  readonly host: string;
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
}

/** So many bytes of progress make an interrupted download as good as a new one. */
const progressWorthPatience = 1024 * 1024;

/**
 * Starts to read a blob. When the connection breaks on the way, reading goes on where it broke off.
 * @throws REGISTRY_* codes, at once and while the stream is read
 */
export async function downloadBlob(options: DownloadOptions): Promise<Readable> {
  let response = await openBlob(options, 0);
  const coded = decoderFor(response);
  // The error arrives where the decoded content is read.
  if (coded !== undefined) return pipeline(response.body, coded, () => undefined);
  async function* chunks(): AsyncGenerator<Buffer> {
    let offset = 0;
    let resumed = 0;
    for (let failures = 0; ;) {
      try {
        for await (const chunk of response.body) {
          offset += (chunk as Buffer).length;
          yield chunk as Buffer;
        }
        return;
      } catch (error) {
        if (offset - resumed >= progressWorthPatience) failures = 0;
        failures += 1;
        if (failures >= options.policy.attempts || !isRetryableError(error)) {
          throw unreachableError(error, attemptOf(options), options.host);
        }
        const delay = retryDelay({ attempt: failures, policy: options.policy });
        await waitFor(delay, options.signal);
        resumed = offset;
        response = await openBlob(options, offset);
      }
    }
  }
  const content = Readable.from(chunks(), { objectMode: false });
  // A stream that nobody began to read would keep its connection.
  content.once("close", () => response.body.destroy());
  return content;
}

async function openBlob(options: DownloadOptions, offset: number): Promise<HttpResponse> {
  const { transport, descriptor, signal } = options;
  const response = await transport.send({
    method: "GET",
    target: `/blobs/${descriptor.digest}`,
    headers: {
      "accept-encoding": "identity",
      ...(offset === 0 ? {} : { range: `bytes=${String(offset)}-` }),
    },
    accept: offset === 0 ? [200] : [200, 206],
    attempt: attemptOf(options),
    hint: undefined,
    signal,
  });
  if (offset === 0) return response;
  const start = /^bytes (\d+)-/.exec(response.header("content-range") ?? "")?.[1];
  if (response.status === 200) return withoutStart(response, offset);
  if (Number(start) === offset) return response;
  response.body.destroy();
  throw registryError("REGISTRY_ANSWER_INVALID", `${attemptOf(options)}: another range was sent`, {
    details: { host: options.host, expected: offset, found: start ?? null },
  });
}

/** A server that knows no ranges begins again: what we have already is passed over. */
function withoutStart(response: HttpResponse, offset: number): HttpResponse {
  const { body } = response;
  async function* chunks(): AsyncGenerator<Buffer> {
    let missing = offset;
    for await (const chunk of body) {
      const bytes = (chunk as Buffer).subarray(missing);
      missing = Math.max(0, missing - (chunk as Buffer).length);
      if (bytes.length > 0) yield bytes;
    }
  }
  return { ...response, body: Readable.from(chunks(), { objectMode: false }) };
}

/** Some servers compress on the way although nobody asked; digests are of what is inside. */
function decoderFor(response: HttpResponse) {
  switch (response.header("content-encoding")) {
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
    default:
      return undefined;
  }
}

function attemptOf({ descriptor, host }: DownloadOptions): string {
  return `read blob ${descriptor.digest} from ${host}`;
}
