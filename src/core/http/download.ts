import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { coreError, isTsbuildError } from "../errors.ts";
import { openHttpClient, type HttpClient, type HttpResponse } from "./client.ts";
import { displayUrl } from "./errors.ts";
import { requestFollowing } from "./redirects.ts";
import { discardBody } from "./response-body.ts";

/** A file behind a URL. */
export interface Download {
  /** The URL that answered in the end. */
  readonly url: URL;
  /** Bytes, when the server says so. */
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: Date | undefined;
  /** Whether the server says that the caller's copy is still good (304 to a conditional request). */
  readonly isUnchanged: boolean;
  /** The name that the server gives the file, without folders. */
  readonly fileName: string | undefined;
  /** Read it to its end or destroy it. Fails with HTTP_FAILED, HTTP_TIMEOUT, CANCELED. */
  readonly content: Readable;
}

/**
 * Starts to read a file from an http or https URL, redirects followed. User name and password in the URL are sent to
 * its own host. Any status from 200 to 399 is success, as for Docker's ADD.
 * @throws HTTP_FAILED with details.status for any other status; HTTP_TIMEOUT, CANCELED
 */
export async function downloadUrl(options: {
  readonly url: string | URL;
  /** HEAD asks for everything but the content. GET by default. */
  readonly method?: "GET" | "HEAD" | undefined;
  /** Kept open for the caller when given; else a client of its own is closed with the content. */
  readonly client?: HttpClient | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<Download> {
  const client = options.client ?? openHttpClient();
  const isOwn = options.client === undefined;
  const url = new URL(options.url);
  const close = (): void => {
    // Nobody waits for sockets of a download that is over.
    if (isOwn) void client.close();
  };
  try {
    const response = await requestFollowing({
      client,
      request: {
        method: options.method ?? "GET",
        url: withoutCredentials(url),
        headers: { "accept-encoding": "identity", ...authorization(url), ...options.headers },
        signal: options.signal,
      },
    });
    await checkStatus(response, url);
    response.body.once("close", close);
    const isEncoded = options.method !== "HEAD" && isGzip(response);
    return isEncoded
      ? { ...toDownload(response), size: undefined, content: decoded(response, url) }
      : toDownload(response);
  } catch (error) {
    close();
    throw error;
  }
}

async function checkStatus(response: HttpResponse, url: URL): Promise<void> {
  const { status } = response;
  if (status >= 200 && status < 400) return;
  await discardBody(response);
  throw coreError("HTTP_FAILED", `get ${displayUrl(url)}: the server answers ${String(status)}`, {
    details: {
      status,
      host: url.host,
      reason: "STATUS",
      isRetryable: status === 429 || status >= 500,
    },
  });
}

function isGzip(response: HttpResponse): boolean {
  return response.header("content-encoding")?.toLowerCase() === "gzip" && response.status !== 304;
}

/** There are servers that compress what they send without being asked to; the file is what they compressed. */
function decoded(response: HttpResponse, url: URL): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    const gunzip = createGunzip();
    // The loop below sees every failure.
    pipeline(response.body, gunzip, () => undefined);
    try {
      for await (const chunk of gunzip) yield chunk as Buffer;
    } catch (error) {
      if (isTsbuildError(error)) throw error;
      throw coreError("HTTP_FAILED", `get ${displayUrl(url)}: its content is no gzip as it says`, {
        details: { host: url.host, reason: "CONTENT", isRetryable: true },
        cause: error,
      });
    }
  }
  const content = Readable.from(chunks(), { objectMode: false });
  content.once("close", () => response.body.destroy());
  return content;
}

function toDownload(response: HttpResponse): Download {
  const length = response.header("content-length");
  const modified = Date.parse(response.header("last-modified") ?? "");
  return {
    url: response.url,
    size: length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined,
    isUnchanged: response.status === 304,
    etag: response.header("etag"),
    lastModified: Number.isNaN(modified) ? undefined : new Date(modified),
    fileName: fileNameOf(response.header("content-disposition")),
    content: response.body,
  };
}

function fileNameOf(disposition: string | undefined): string | undefined {
  const match = /;\s*filename=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(disposition ?? "");
  const name = (match?.[1]?.replace(/\\(.)/g, "$1") ?? match?.[2])?.split("/").at(-1);
  return name === undefined || name === "" || name === "." || name === ".." ? undefined : name;
}

function withoutCredentials(url: URL): URL {
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  return bare;
}

function authorization(url: URL): Readonly<Record<string, string>> {
  if (url.username === "") return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}
