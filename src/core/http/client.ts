import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { coreError } from "../errors.ts";
import type { TlsMaterial } from "./certificates.ts";
import { httpError } from "./errors.ts";
import type { ProxyEnvironment } from "./proxy.ts";

/** One request. Redirects are answers like any other. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is sent as it comes; say its length in `content-length`, or it goes in chunks. */
  readonly body?: Uint8Array | Readable | undefined;
  /** Accepts any certificate. */
  readonly insecure?: boolean | undefined;
  /** Certificates for this host; the same object for the same host, so that connections are shared. */
  readonly tls?: TlsMaterial | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** The URL that answered. */
  readonly url: URL;
  /** The value of a header; several ones of the same name are joined by `, `. */
  header(name: string): string | undefined;
  /** Every value of a header that came several times. */
  headers(name: string): readonly string[];
  /** Must be read to its end or destroyed, else the connection is never free again. Fails with HTTP_* codes. */
  readonly body: Readable;
}

/** Connections that are kept open between requests. Whoever opens a client closes it. */
export interface HttpClient {
  /** @throws HTTP_FAILED, HTTP_TIMEOUT (both with details.reason and details.isRetryable), CANCELED */
  request(request: HttpRequest): Promise<HttpResponse>;
  close(): Promise<void>;
}

export interface HttpClientOptions {
  /** Says proxies and certificate files; `process.env` by default. */
  readonly env?: ProxyEnvironment | undefined;
  /** Milliseconds until a connection is there; 30 seconds by default. */
  readonly connectTimeout?: number | undefined;
  /** Milliseconds of silence, before the answer or inside it; 2 minutes by default. */
  readonly idleTimeout?: number | undefined;
}

/** Opens nothing yet: the network stack is loaded with the first request, since most builds need none. */
export function openHttpClient(options: HttpClientOptions = {}): HttpClient {
  return new UndiciClient(options);
}

class UndiciClient implements HttpClient {
  readonly #env: ProxyEnvironment;
  readonly #connectTimeout: number;
  readonly #idleTimeout: number;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  readonly #materials = new Map<TlsMaterial, string>();
  #isClosed = false;

  constructor(options: HttpClientOptions) {
    this.#env = options.env ?? process.env;
    this.#connectTimeout = options.connectTimeout ?? 30_000;
    this.#idleTimeout = options.idleTimeout ?? 120_000;
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    const { url, method, signal } = request;
    if (signal?.aborted === true) throw httpError(signal.reason, request);
    if (this.#isClosed) throw coreError("INTERNAL", "request over a closed client");
    const dispatcher = await this.#dispatcherFor(request);
    try {
      const { default: send } = await import("undici/lib/api/api-request.js");
      const response = await send.call(dispatcher, {
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { "user-agent": "tsbuild", ...request.headers },
        body: request.body ?? null,
        signal: signal ?? null,
        // Or else undici ends the connection with it.
        ...(method === "HEAD" ? { reset: false } : {}),
        headersTimeout: this.#idleTimeout,
        bodyTimeout: this.#idleTimeout,
      });
      return toResponse(response, request);
    } catch (error) {
      throw httpError(error, request);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await Promise.allSettled(this.#dispatchers.values());
    this.#dispatchers.clear();
    for (const result of opened) if (result.status === "fulfilled") await result.value.destroy();
  }

  async #dispatcherFor({ url, insecure = false, tls }: HttpRequest): Promise<Dispatcher> {
    const { proxyFor } = await import("./proxy.ts");
    const proxy = proxyFor(url, this.#env);
    const isSecure = url.protocol === "https:";
    const certificates = isSecure && tls !== undefined ? this.#nameOf(tls) : "";
    const kind = isSecure ? (insecure ? "unverified" : "tls") : "plain";
    const key = `${proxy ?? "direct"} ${kind} ${certificates}`;
    const known = this.#dispatchers.get(key);
    if (known !== undefined) return known;
    const opened = this.#open({ proxy, isSecure, insecure, tls });
    this.#dispatchers.set(key, opened);
    return opened;
  }

  #nameOf(tls: TlsMaterial): string {
    const name = this.#materials.get(tls) ?? String(this.#materials.size + 1);
    this.#materials.set(tls, name);
    return name;
  }

  async #open(way: {
    readonly proxy: string | undefined;
    readonly isSecure: boolean;
    readonly insecure: boolean;
    readonly tls: TlsMaterial | undefined;
  }): Promise<Dispatcher> {
    const { identityOf, loadAuthorities } = await import("./certificates.ts");
    const isVerified = way.isSecure && !way.insecure;
    const tls = {
      ...(isVerified ? { secureContext: await loadAuthorities(this.#env, way.tls) } : {}),
      ...(way.insecure
        ? { rejectUnauthorized: false, ...(way.tls === undefined ? {} : identityOf(way.tls)) }
        : {}),
    };
    const common = { keepAliveTimeout: 10_000, connections: 16, pipelining: 1 };
    if (way.proxy === undefined) {
      const { default: Agent } = await import("undici/lib/dispatcher/agent.js");
      return new Agent({ ...common, connect: { ...tls, timeout: this.#connectTimeout } });
    }
    // Proxies expect whole URLs for plain http; undici would open a tunnel for everything.
    const proxyTunnel = way.isSecure;
    const { ProxyAgent } = await import("undici");
    return new ProxyAgent({ ...common, uri: way.proxy, requestTls: tls, proxyTunnel });
  }
}

function toResponse(response: Dispatcher.ResponseData, request: HttpRequest): HttpResponse {
  const headers = (name: string): readonly string[] => {
    const value = response.headers[name];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  };
  return {
    status: response.statusCode,
    url: request.url,
    headers,
    header: (name) => (headers(name).length === 0 ? undefined : headers(name).join(", ")),
    body: withHttpErrors(response.body, request),
  };
}

/** The body with failures in our words. Destroying it frees the connection, also when nothing was read. */
function withHttpErrors(body: Readable, request: HttpRequest): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of body) yield chunk as Buffer;
    } catch (error) {
      throw httpError(error, request);
    }
  }
  // A body that is destroyed early fails with an abort that nobody waits for.
  body.on("error", () => undefined);
  const wrapped = Readable.from(chunks(), { objectMode: false });
  wrapped.once("close", () => body.destroy());
  return wrapped;
}
