import { pipeline, Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import {
  asRetryable,
  contentMismatch,
  digestAlgorithm,
  Digester,
  isRetryableError,
  isTsbuildError,
  retryDelay,
  skipBytes,
  vouchFor,
  waitFor,
  type Digest,
  type HttpResponse,
  type RetryPolicy,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { registryError } from "./errors.ts";
import { unreachableError, type Transport } from "./transport.ts";

export interface DownloadOptions {
  /** Hosts that may have it, in the order in which they are asked; the last one's word counts. */
  readonly transports: readonly Transport[];
  readonly descriptor: Descriptor;
  readonly policy: RetryPolicy;
  /** Bytes at the beginning that are known already; 0 by default. */
  readonly offset?: number | undefined;
  /** Told of hosts before the last one that are not worth being asked again. */
  readonly onLost: (transport: Transport) => void;
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
 * when the first one stays away, falls silent or breaks again. A whole blob is verified while it is read; wrong bytes in
 * which a mirror had a part are an error with `details.isRetryable`, because another download asks somebody else.
 * @throws REGISTRY_* codes, at once and while the stream is read; DIGEST_MISMATCH, SIZE_MISMATCH from the stream
 */
export async function downloadBlob(options: DownloadOptions): Promise<Readable> {
  const { offset = 0, descriptor } = options;
  const opened = await openAnywhere(options, offset);
  const coding = codingOf(opened.response, descriptor.size);
  if (offset === 0 && coding !== undefined) {
    // The error arrives where the decoded content is read.
    return pipeline(opened.response.body, decoders[coding](), () => undefined);
  }
  const download = new Download(options, opened);
  const content = Readable.from(download.chunks(offset), { objectMode: false });
  // A stream that nobody began to read would keep its connection.
  content.once("close", () => download.stop());
  return offset === 0 ? vouchFor(content, descriptor.digest) : content;
}

class Download {
  readonly #options: DownloadOptions;
  #hosts: readonly Transport[];
  #opened: Opened;
  /** Who gave some of it. */
  readonly #givers = new Set<Transport>();
  #failures = 0;

  constructor(options: DownloadOptions, opened: Opened) {
    this.#options = options;
    this.#hosts = options.transports;
    this.#opened = opened;
  }

  /** What is behind `start`. */
  async *chunks(start: number): AsyncGenerator<Buffer> {
    const { digest, size } = this.#options.descriptor;
    const digester = new Digester(digestAlgorithm(digest));
    let offset = start;
    for (let resumed = start; ; resumed = offset) {
      try {
        this.#givers.add(this.#opened.transport);
        for await (const chunk of this.#opened.response.body) {
          offset += (chunk as Buffer).length;
          if (start === 0) digester.update(chunk as Buffer);
          if (offset > size) break;
          yield chunk as Buffer;
        }
        if (offset < size) throw this.#cutShort(offset);
        break;
      } catch (error) {
        // Nothing is missing but the end of the answer.
        if (offset === size) break;
        if (offset - resumed >= progressWorthPatience) this.#failures = 0;
        await this.#goOn(error, offset);
      }
    }
    if (start > 0) return;
    this.#check({ size: offset, digest: digester.digest() });
  }

  stop(): void {
    this.#opened.response.body.destroy();
  }

  /** Opens the rest: where it broke, or with the next host when this one breaks too often. */
  async #goOn(error: unknown, offset: number): Promise<void> {
    const { policy, signal, onLost } = this.#options;
    const { transport } = this.#opened;
    this.#failures += 1;
    const isLast = transport === this.#hosts.at(-1);
    const isHopeless = !isRetryableError(error) || this.#failures >= (isLast ? policy.attempts : 2);
    if (isTsbuildError(error, "CANCELED") || (isLast && isHopeless)) {
      throw unreachableError(error, attemptOf(this.#options, transport), transport.host.domain);
    }
    if (isHopeless || isTsbuildError(error, "HTTP_TIMEOUT")) {
      this.#hosts = this.#hosts.filter((host) => host !== transport);
      onLost(transport);
    } else {
      await waitFor(retryDelay({ attempt: this.#failures, policy }), signal);
    }
    this.#opened = await openAnywhere({ ...this.#options, transports: this.#hosts }, offset);
    if (this.#opened.transport !== transport) this.#failures = 0;
  }

  #cutShort(offset: number): Error {
    const { transport } = this.#opened;
    const { size } = this.#options.descriptor;
    const attempt = attemptOf(this.#options, transport);
    return registryError(
      "REGISTRY_ANSWER_INVALID",
      `${attempt}: it ends after ${String(offset)} of ${String(size)} bytes`,
      {
        details: { host: transport.host.domain, expected: size, found: offset, isRetryable: true },
      },
    );
  }

  /** Mirrors that had a part in wrong content are not believed any more. */
  #check(found: { readonly size: number; readonly digest: Digest }): void {
    const { descriptor, transports, onLost } = this.#options;
    const names = [...this.#givers].map(nameOf).join(" and ");
    const subject = `${descriptor.digest} from registry ${names}`;
    const mismatch = contentMismatch(descriptor, found, subject);
    if (mismatch === undefined) return;
    const mirrors = [...this.#givers].filter((host) => host !== transports.at(-1));
    for (const mirror of mirrors) onLost(mirror);
    throw mirrors.length > 0 ? asRetryable(mismatch) : mismatch;
  }
}

async function openAnywhere(options: DownloadOptions, offset: number): Promise<Opened> {
  const { transports, onLost } = options;
  for (const [index, transport] of transports.entries()) {
    try {
      return { response: await openBlob(options, transport, offset), transport };
    } catch (error) {
      const isLast = index === transports.length - 1;
      if (isLast || isTsbuildError(error, "CANCELED")) throw error;
      if (isTsbuildError(error, "REGISTRY_UNREACHABLE")) onLost(transport);
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
  checkLength({ response, transport }, { ...options, offset });
  if (offset === 0) return response;
  if (response.status === 416) {
    // Whatever it counts differently: from the beginning it cannot.
    response.body.destroy();
    const whole = await openBlob(options, transport, 0);
    return withoutStart({ response: whole, transport }, options, offset);
  }
  if (response.status === 200) return withoutStart({ response, transport }, options, offset);
  checkUncoded({ response, transport }, { ...options, offset });
  const start = /^bytes (\d+)-/.exec(response.header("content-range") ?? "")?.[1];
  if (Number(start) === offset) return response;
  response.body.destroy();
  throw registryError("REGISTRY_ANSWER_INVALID", `${attempt}: another range was sent`, {
    details: { host: transport.host.domain, expected: offset, found: start ?? null },
  });
}

/** A server that knows no ranges begins again: what we have already is passed over. */
function withoutStart(opened: Opened, options: DownloadOptions, offset: number): HttpResponse {
  checkUncoded(opened, { ...options, offset });
  const { response } = opened;
  return {
    ...response,
    body: Readable.from(skipBytes(response.body, offset), { objectMode: false }),
  };
}

/** Bytes of coded content are counted differently: only the whole can be decoded. */
function checkUncoded({ response, transport }: Opened, options: DownloadOptions): void {
  const coding = codingOf(response, expectedLength(response, options));
  if (coding === undefined) return;
  response.body.destroy();
  const { offset = 0 } = options;
  throw registryError(
    "REGISTRY_ANSWER_INVALID",
    `${attemptOf(options, transport)} from byte ${String(offset)}: the answer is coded`,
    { details: { host: transport.host.domain, expected: offset, found: coding } },
  );
}

/** Another length than the descriptor's cannot become the right content: that is told before anything is read. */
function checkLength({ response, transport }: Opened, options: DownloadOptions): void {
  const expected = expectedLength(response, options);
  const length = response.header("content-length");
  if (length === undefined || response.status === 416) return;
  if (Number(length) === expected || codingOf(response, expected) !== undefined) return;
  response.body.destroy();
  throw registryError(
    "REGISTRY_ANSWER_INVALID",
    `${attemptOf(options, transport)}: it has ${length} bytes instead of ${String(expected)}`,
    { details: { host: transport.host.domain, expected, found: Number(length) } },
  );
}

/** Bytes that an answer ought to have. */
function expectedLength(
  { status }: HttpResponse,
  { descriptor, offset = 0 }: DownloadOptions,
): number {
  return status === 206 ? descriptor.size - offset : descriptor.size;
}

const decoders = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/**
 * Some servers compress on the way although nobody asked; digests are of what is inside. Others say of a blob that is
 * a gzip file that it is coded so: then the answer has the bytes that are expected.
 */
function codingOf(response: HttpResponse, expected: number): keyof typeof decoders | undefined {
  if (response.header("content-length") === String(expected)) return undefined;
  const told = response.header("content-encoding")?.toLowerCase() ?? "";
  return Object.hasOwn(decoders, told) ? (told as keyof typeof decoders) : undefined;
}

function attemptOf({ descriptor }: DownloadOptions, transport: Transport): string {
  return `read blob ${descriptor.digest} from ${nameOf(transport)}`;
}

function nameOf({ host }: Transport): string {
  return `${host.domain}/${host.path}`;
}
