import type { Readable } from "node:stream";
import {
  discardBody,
  isRetryableError,
  isRetryableStatus,
  requestFollowing,
  sendPatiently,
  type HttpClient,
  type RetryPolicy,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { checkTarget } from "./endpoint.ts";

/**
 * Content that its descriptor says to be elsewhere (`urls`, as layers that their owner forbids to distribute). Nobody is
 * told who asks. Undefined when none of the addresses gives it.
 * @throws REGISTRY_TARGET_REFUSED, CANCELED
 */
export async function readLinkedContent(options: {
  readonly descriptor: Descriptor;
  readonly client: HttpClient;
  /** The registry whose manifest names the addresses. */
  readonly registry: URL;
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
}): Promise<Readable | undefined> {
  const { descriptor, client, registry, policy, signal } = options;
  for (const text of descriptor.urls ?? []) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) continue;
    const check = (target: URL): void => checkTarget(target, registry, "layer address");
    check(url);
    const request = { method: "GET", url, headers: { "accept-encoding": "identity" }, signal };
    const response = await sendPatiently({
      host: url.host,
      policy,
      signal,
      send: () => requestFollowing({ client, request, checkTarget: check }),
    }).catch((error: unknown) => {
      if (isRetryableError(error) || isGone(error)) return undefined;
      throw error;
    });
    if (response?.status === 200) return response.body;
    if (response !== undefined && !isRetryableStatus(response.status)) await discardBody(response);
  }
  return undefined;
}

/** Another address may still be there. */
function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "HTTP_FAILED";
}
