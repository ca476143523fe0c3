/** The one door to the network. */
export type { TlsMaterial } from "./http/certificates.ts";
export {
  openHttpClient,
  type HttpClient,
  type HttpClientOptions,
  type HttpRequest,
  type HttpResponse,
} from "./http/client.ts";
export { downloadUrl, type Download } from "./http/download.ts";
export { displayUrl } from "./http/errors.ts";
export { bareHost, isLoopback } from "./http/host.ts";
export { requestFollowing, withoutIdentities, type FollowOptions } from "./http/redirects.ts";
export { discardBody, readBody, withBodyRead } from "./http/response-body.ts";
export {
  defaultRetryPolicy,
  isRetryableError,
  isRetryableStatus,
  isWorthRepeating,
  retryDelay,
  sendPatiently,
  waitFor,
  type PatientRequest,
  type RetryPolicy,
} from "./http/retry.ts";
