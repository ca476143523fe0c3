import { coreError } from "../errors.ts";
import type { HttpClient, HttpRequest, HttpResponse } from "./client.ts";
import { displayUrl } from "./errors.ts";
import { discardBody } from "./response-body.ts";

const maxRedirects = 10;
const redirectStatuses = new Set([301, 302, 303, 307, 308]);

export interface FollowOptions {
  readonly client: HttpClient;
  /** GET or HEAD. */
  readonly request: HttpRequest;
  /** Refuses a target by throwing. */
  readonly checkTarget?: ((target: URL) => void) | undefined;
}

/**
 * Sends a request and follows redirects, at most 10. Authorization and cookies go to the first origin only.
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
    request = { ...request, url: target, headers: headersFor(target, request) };
  }
  throw coreError("HTTP_FAILED", `get ${displayUrl(options.request.url)}: too many redirects`, {
    details: { reason: "REDIRECTS", host: options.request.url.host, isRetryable: false },
  });
}

function headersFor(
  target: URL,
  { url, headers = {} }: HttpRequest,
): Readonly<Record<string, string>> {
  if (target.origin === url.origin) return headers;
  const { authorization: _authorization, cookie: _cookie, ...rest } = headers;
  return rest;
}

function parseTarget(location: string, { url }: HttpRequest): URL {
  const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (target?.protocol === "https:" || target?.protocol === "http:") return target;
  throw coreError("HTTP_FAILED", `get ${displayUrl(url)}: it redirects to no http address`, {
    details: { reason: "REDIRECT", host: url.host, isRetryable: false },
  });
}
