import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { isTsbuildError, type HttpResponse } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { registryError } from "./errors.ts";
import { isRetryableError, retryDelay, waitFor, type RetryPolicy } from "./retry.ts";
import { unreachableError, type Transport } from "./transport.ts";

export interface DownloadOptions {
  /** Hosts that may have it, in the order in which they are asked; the last one's word counts. */
  readonly transports: readonly Transport[];
  readonly descriptor: Descriptor;
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
}

/** An answer, and who gave it. */
interface Opened {
  readonly response: HttpResponse;
  readonly transport: Transport;
}

/** So many bytes of progress make an interrupted download as good as a new one. */
const progressWorthPatience = 1024 * 1024;

/**
 * Starts to read a blob. When the connection breaks on the way, reading goes on where it broke off, with the next host
 * when the first one stays away.
 * @throws REGISTRY_* codes, at once and while the stream is read
 */
export async function downloadBlob(options: DownloadOptions): Promise<Readable> {
  const opened = await openAnywhere(options, 0);
  const coded = decoderFor(opened.response, options);
  // The error arrives where the decoded content is read.
  if (coded !== undefined) return pipeline(opened.response.body, coded, () => undefined);
  checkLength(opened, options);
  return resumable(opened, options);
}

function resumable(first: Opened, options: DownloadOptions): Readable {
  const { policy, signal } = options;
  let opened = first;
  async function* chunks(): AsyncGenerator<Buffer> {
    let offset = 0;
    let resumed = 0;
    for (let failures = 0; ;) {
      try {
        for await (const chunk of opened.response.body) {
          offset += (chunk as Buffer).length;
          yield chunk as Buffer;
        }
        return;
      } catch (error) {
        if (offset - resumed >= progressWorthPatience) failures = 0;
        failures += 1;
        if (failures >= policy.attempts || !isRetryableError(error)) {
          const { transport } = opened;
          throw unreachableError(error, attemptOf(options, transport), transport.host.domain);
        }
        await waitFor(retryDelay({ attempt: failures, policy }), signal);
        resumed = offset;
        opened = await openAnywhere(options, offset);
      }
    }
  }
  const content = Readable.from(chunks(), { objectMode: false });
  // A stream that nobody began to read would keep its connection.
  content.once("close", () => opened.response.body.destroy());
  return content;
}

async function openAnywhere(options: DownloadOptions, offset: number): Promise<Opened> {
  const { transports } = options;
  for (const [index, transport] of transports.entries()) {
    try {
      return { response: await openBlob(options, transport, offset), transport };
    } catch (error) {
      const isLast = index === transports.length - 1;
      if (isLast || isTsbuildError(error, "CANCELED")) throw error;
    }
  }
  throw registryError(
    "REGISTRY_NOT_FOUND",
    `read blob ${options.descriptor.digest}: nobody to ask`,
  );
}

async function openBlob(
  options: DownloadOptions,
  transport: Transport,
  offset: number,
): Promise<HttpResponse> {
  const { descriptor, signal } = options;
  const attempt = attemptOf(options, transport);
  const response = await transport.send({
    method: "GET",
    target: `/blobs/${descriptor.digest}`,
    headers: {
      "accept-encoding": "identity",
      ...(offset === 0 ? {} : { range: `bytes=${String(offset)}-` }),
    },
    accept: offset === 0 ? [200] : [200, 206, 416],
    attempt,
    signal,
  });
  if (offset === 0) return response;
  if (response.status === 200) return withoutStart(response, offset);
  if (response.status === 416) {
    // Whatever it counts differently: from the beginning it cannot.
    response.body.destroy();
    return withoutStart(await openBlob(options, transport, 0), offset);
  }
  const start = /^bytes (\d+)-/.exec(response.header("content-range") ?? "")?.[1];
  if (Number(start) === offset) return response;
  response.body.destroy();
  throw registryError("REGISTRY_ANSWER_INVALID", `${attempt}: another range was sent`, {
    details: { host: transport.host.domain, expected: offset, found: start ?? null },
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

/** Another length than the descriptor's cannot become the right content: that is told before anything is read. */
function checkLength({ response, transport }: Opened, options: DownloadOptions): void {
  const { size } = options.descriptor;
  const length = response.header("content-length");
  if (length === undefined || Number(length) === size) return;
  response.body.destroy();
  throw registryError(
    "REGISTRY_ANSWER_INVALID",
    `${attemptOf(options, transport)}: it has ${length} bytes instead of ${String(size)}`,
    { details: { host: transport.host.domain, expected: size, found: Number(length) } },
  );
}

/**
 * Some servers compress on the way although nobody asked; digests are of what is inside. Others say of a blob that is
 * a gzip file that it is coded so: then its length is the descriptor's.
 */
function decoderFor(response: HttpResponse, { descriptor }: DownloadOptions) {
  if (response.header("content-length") === String(descriptor.size)) return undefined;
  switch (response.header("content-encoding")?.toLowerCase()) {
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

function attemptOf({ descriptor }: DownloadOptions, { host }: Transport): string {
  return `read blob ${descriptor.digest} from ${host.domain}`;
}
