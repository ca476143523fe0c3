import { Readable } from "node:stream";
import {
  defaultRetryPolicy,
  isTsbuildError,
  sendPatiently,
  type HttpClient,
  type HttpResponse,
  type RetryPolicy,
} from "../core/index.ts";
import { answerError } from "./answer.ts";
import { objectStorageError } from "./errors.ts";
import { encodeComponent, sha256, signRequest } from "./signature.ts";
import type { AwsCredentials, BucketSettings } from "./types.ts";

export interface BucketOptions {
  readonly settings: BucketSettings;
  readonly credentials: AwsCredentials;
  readonly client: HttpClient;
  readonly policy?: RetryPolicy | undefined;
  /** Called with a sentence when people have to wait for longer than a moment. */
  readonly onWait?: ((text: string) => void) | undefined;
}

export interface BucketRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** Statuses that are no failure. */
  readonly accept: readonly number[];
  /** Lower case, for messages: what is attempted on what. */
  readonly attempt: string;
  /** The answer is a small document: it is read at once, up to so many bytes. */
  readonly bodyLimit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const nothing = sha256("");

/** Signed requests to one bucket, with patience, and failures in our words. */
export class Bucket {
  readonly settings: BucketSettings;
  readonly credentials: AwsCredentials;
  readonly policy: RetryPolicy;
  readonly #client: HttpClient;
  readonly #onWait: ((text: string) => void) | undefined;
  readonly #origin: URL;

  constructor(options: BucketOptions) {
    this.settings = options.settings;
    this.credentials = options.credentials;
    this.policy = options.policy ?? defaultRetryPolicy;
    this.#client = options.client;
    this.#onWait = options.onWait;
    this.#origin = originOf(options.settings);
  }

  /** Host that is asked, for messages. */
  get host(): string {
    return this.#origin.host;
  }

  /** The value of `x-amz-copy-source` for a key of this bucket. */
  copySource(key: string): string {
    return `/${this.settings.bucket}/${encodeKey(key)}`;
  }

  /** @throws OBJECT_STORAGE_* for every status that is not in `accept`; CANCELED */
  async send(request: BucketRequest): Promise<HttpResponse> {
    const { accept, attempt, signal, bodyLimit } = request;
    try {
      const response = await sendPatiently({
        ...{ host: this.host, policy: this.policy, signal, bodyLimit, onWait: this.#onWait },
        // The time is a part of the signature: each try has its own.
        send: () => this.#sendOnce(request),
      });
      if (accept.includes(response.status)) return response;
      throw await answerError(response, { attempt, credentials: this.credentials });
    } catch (error) {
      throw this.unreachable(error, attempt);
    }
  }

  /** Failures below HTTP in our words; others as they are. */
  unreachable(error: unknown, attempt: string): unknown {
    if (!isTsbuildError(error, "HTTP_FAILED") && !isTsbuildError(error, "HTTP_TIMEOUT"))
      return error;
    return objectStorageError("OBJECT_STORAGE_UNREACHABLE", `${attempt}: ${error.message}`, {
      hint: error.hint ?? `check endpoint_url, region and network; ${this.host} was asked`,
      details: { ...error.details, host: this.host },
      cause: error,
    });
  }

  #sendOnce(request: BucketRequest): Promise<HttpResponse> {
    const { method, key, query = {}, headers = {}, body, signal } = request;
    const url = new URL(this.#origin);
    url.pathname = `${url.pathname.replace(/\/$/, "")}/${encodeKey(key)}`;
    const search = Object.entries(query)
      .map(([name, value]) => `${encodeComponent(name)}=${encodeComponent(value)}`)
      .join("&");
    url.search = search;
    const { host: _host, ...signed } = signRequest(
      { method, url, headers, payloadHash: body === undefined ? nothing : sha256(body) },
      { credentials: this.credentials, region: this.settings.region, now: new Date() },
    );
    return this.#client.request({ method, url, headers: signed, body, signal });
  }
}

/** Scheme, host and path in front of every key. */
function originOf({ bucket, region, endpoint, usePathStyle }: BucketSettings): URL {
  const base = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  base.search = "";
  base.hash = "";
  // Certificates for names below Amazon's hold for one label only.
  const isOneLabel = endpoint !== undefined || !bucket.includes(".");
  if (!usePathStyle && isOneLabel) base.hostname = `${bucket}.${base.hostname}`;
  else base.pathname = `${base.pathname.replace(/\/$/, "")}/${bucket}`;
  return base;
}

function encodeKey(key: string): string {
  return key.split("/").map(encodeComponent).join("/");
}

/** A body that is here already. */
export function streamOf(bytes: Buffer): Readable {
  return Readable.from([bytes], { objectMode: false });
}
