import { coreError } from "../errors.ts";
import type { TlsMaterial } from "./certificates.ts";
import type { HttpClient, HttpRequest, HttpResponse } from "./client.ts";
import { displayUrl } from "./errors.ts";
import { discardBody } from "./response-body.ts";

const maxRedirects = 10;
const redirectStatuses = new Set([301, 302, 303, 307, 308]);

export interface FollowOptions {
  readonly client: HttpClient;
  /** GET or HEAD. */
  readonly request: HttpRequest;
  /** Names of headers that the first origin alone may see, beside Authorization and cookies; lower case. */
  readonly ownHeaders?: readonly string[] | undefined;
  /** Refuses a target by throwing. */
  readonly checkTarget?: ((target: URL) => void) | undefined;
}

/**
 * Sends a request and follows redirects, at most 10. Authorization, cookies and client certificates go to the first
 * origin only.
 * @throws HTTP_FAILED for too many or broken redirects, and what `request` throws
 */
export async function requestFollowing(options: FollowOptions): Promise<HttpResponse> {
  let { request } = options;
  for (let hops = 0; hops <= maxRedirects; hops += 1) {
    const response = await options.client.request(request);
    const location = response.header("location");
    if (!redirectStatuses.has(response.status) || location === undefined) return response;
    await discardBody(response);
    const target = parseTarget(location, request);
    options.checkTarget?.(target);
    if (target.origin !== request.url.origin) request = forStranger(request, options.ownHeaders);
    request = { ...request, url: target };
  }
  throw coreError("HTTP_FAILED", `get ${displayUrl(options.request.url)}: too many redirects`, {
    details: { reason: "REDIRECTS", host: options.request.url.host, isRetryable: false },
  });
}

function forStranger(request: HttpRequest, ownHeaders: readonly string[] = []): HttpRequest {
  const secret = ["authorization", "cookie", ...ownHeaders];
  const headers = Object.entries(request.headers ?? {}).filter(([name]) => !secret.includes(name));
  return { ...request, headers: Object.fromEntries(headers), tls: withoutIdentities(request.tls) };
}

/** One object for each, since the object tells which connections may be shared. */
const anonymous = new WeakMap<TlsMaterial, TlsMaterial>();

/** The same authorities without a client certificate: for hosts that must not see it. */
export function withoutIdentities(tls: TlsMaterial | undefined): TlsMaterial | undefined {
  if (tls === undefined || tls.identities.length === 0) return tls;
  const known = anonymous.get(tls) ?? { authorities: tls.authorities, identities: [] };
  anonymous.set(tls, known);
  return known;
}

function parseTarget(location: string, { url }: HttpRequest): URL {
  const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (target?.protocol === "https:" || target?.protocol === "http:") return target;
  throw coreError("HTTP_FAILED", `get ${displayUrl(url)}: it redirects to no http address`, {
    details: { reason: "REDIRECT", host: url.host, isRetryable: false },
  });
}
