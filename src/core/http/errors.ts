import { coreError, errnoOf } from "../errors.ts";

/** A URL as it may be shown: without credentials, and without the query, which may be a signature. */
export function displayUrl(url: URL | string): string {
  const parsed = new URL(url);
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`;
}

const timeouts = new Set([
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "ETIMEDOUT",
]);

/** Reasons that another try will not change: wrong names, closed ports, TLS that cannot be trusted or spoken. */
const finalReasons =
  /^(ENOTFOUND|ECONNREFUSED|EPROTO|EHOSTUNREACH|ENETUNREACH|CERT_|ERR_TLS|ERR_SSL|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/;

/**
 * A failure below HTTP as HTTP_TIMEOUT, HTTP_FAILED or CANCELED. `details.reason` is the code of the system or of
 * TLS (`ECONNREFUSED`, `SELF_SIGNED_CERT_IN_CHAIN`), `details.isRetryable` says whether another try may help.
 */
export function httpError(
  error: unknown,
  request: {
    readonly method: string;
    readonly url: URL;
    readonly signal?: AbortSignal | undefined;
  },
): Error {
  const attempt = `${request.method.toLowerCase()} ${displayUrl(request.url)}`;
  if (request.signal?.aborted === true) {
    return coreError("CANCELED", `${attempt}: canceled`, { cause: error });
  }
  if (isOutOfAddresses(error)) return outOfAddresses(attempt, request.url, error);
  const reason = reasonOf(error);
  const code = timeouts.has(reason) ? "HTTP_TIMEOUT" : "HTTP_FAILED";
  return coreError(code, `${attempt}: ${describe(error, reason)}`, {
    details: { reason, host: request.url.host, isRetryable: !finalReasons.test(reason) },
    cause: error,
  });
}

/**
 * The parser of HTTP is WebAssembly, for whose memory V8 sets 10 GB of addresses aside, however little it uses. It has no
 * code for their lack, only this.
 */
function isOutOfAddresses(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith("WebAssembly");
}

function outOfAddresses(attempt: string, { host }: URL, error: unknown): Error {
  const text = "the limit of the address space leaves no room for the parser of HTTP";
  return coreError("HTTP_FAILED", `${attempt}: ${text}`, {
    hint: "raise that limit to 12 GB or more (ulimit -v 12000000), or lift it (ulimit -v unlimited)",
    details: { reason: "ADDRESS_SPACE", host, isRetryable: false },
    cause: new Error(text, { cause: error }),
  });
}

function reasonOf(error: unknown): string {
  const inner = error instanceof AggregateError ? (error.errors as unknown[])[0] : error;
  const own = errnoOf(inner);
  if (own !== undefined && own !== "UND_ERR_SOCKET") return own;
  const cause = inner instanceof Error ? errnoOf(inner.cause) : undefined;
  return cause ?? own ?? "UNKNOWN";
}

function describe(error: unknown, reason: string): string {
  const message = error instanceof Error ? error.message : String(error);
  // An AggregateError of several addresses has no words of its own.
  return message === "" ? reason : (message.split("\n", 1)[0] ?? reason);
}
