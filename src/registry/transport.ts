import type { Readable } from "node:stream";
import {
  discardBody,
  isTsbuildError,
  isWorthRepeating,
  requestFollowing,
  retryDelay,
  sendPatiently,
  waitFor,
  withoutIdentities,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  type RetryPolicy,
} from "../core/index.ts";
import { Authenticator } from "./authenticator.ts";
import type { CredentialSource } from "./credentials.ts";
import { checkTarget, type Endpoint } from "./endpoint.ts";
import { registryError } from "./errors.ts";
import type { RegistryHost } from "./hosts/types.ts";
import { responseError } from "./response-error.ts";

export interface TransportOptions {
  readonly client: HttpClient;
  readonly host: RegistryHost;
  readonly scopes: readonly string[];
  readonly source: CredentialSource;
  readonly policy: RetryPolicy;
  /** Whom warnings are about unless they name somebody else; a mirror's registry. */
  readonly registry: string;
  readonly onWarning: ((text: string) => void) | undefined;
}

export interface RegistryRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the repository, such as `/blobs/uploads/?mount=…`; or a whole URL that the registry gave. */
  readonly target: string | URL;
  /** `target` is below the API itself, not below the repository. */
  readonly ofApi?: boolean | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream can be sent once only, so its request is never repeated. */
  readonly body?: Uint8Array | Readable | undefined;
  /** Scopes beyond the repository's own. */
  readonly scopes?: readonly string[];
  /** Not repeated when it fails, although its body could be. */
  readonly once?: boolean | undefined;
  /** The answer is a small document: it is read at once, up to so many bytes, and again when it breaks off. */
  readonly bodyLimit?: number | undefined;
  /** Statuses that are no failure. */
  readonly accept: readonly number[];
  /** Lower case, for messages: what is attempted on what. */
  readonly attempt: string;
  readonly signal?: AbortSignal | undefined;
}

/** How often one request may learn from a 401: the first challenge, and one expired token. */
const maxChallenges = 2;

/** A request with everything that it needs to be sent. */
interface Way {
  readonly endpoint: Endpoint;
  readonly url: URL;
  readonly authorization: string | undefined;
}

/** Requests to one repository on one host: the right scheme, credentials, patience, and failures in our words. */
export class Transport {
  readonly host: RegistryHost;
  readonly #options: TransportOptions;
  readonly #auth: Authenticator;
  readonly #warned = new Set<string>();
  #endpoint: Promise<Endpoint> | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.host = options.host;
    this.#auth = this.#authenticator(options.source);
  }

  /** @throws REGISTRY_* codes for everything that is not in `accept`; CANCELED */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    const endpoint = await this.#connect(request);
    const url = this.#urlOf(request, endpoint);
    const isOwn = url.origin === endpoint.origin;
    const scopes = [...this.#options.scopes, ...(request.scopes ?? [])];
    for (let challenges = 0; ; challenges += 1) {
      const authorization = isOwn
        ? await this.#told(request, () =>
            this.#auth.authorization(endpoint, scopes, request.signal),
          )
        : undefined;
      const way = { endpoint, url, authorization };
      const response = await this.#sendOnce(request, way);
      this.#warn(response);
      if (request.accept.includes(response.status)) return response;
      if (response.status === 401 && response.url.origin !== endpoint.origin) {
        return this.#answerStranger(response, request, way);
      }
      if (response.status === 401 && challenges < maxChallenges) {
        const { signal } = request;
        const isWiser = await this.#auth.learn(response, { sent: authorization, scopes, signal });
        if (isWiser && isStream(request.body)) throw await this.#expired(response, request);
        if (isWiser) {
          await discardBody(response);
          continue;
        }
      }
      throw await this.#refused(response, request, way);
    }
  }

  #authenticator(source: CredentialSource): Authenticator {
    const { client, policy, onWarning, host } = this.#options;
    const { domain, path, tls } = host;
    return new Authenticator({
      client,
      query: { domain, path },
      source,
      policy,
      tls,
      registry: this.#options.registry,
      onWait: onWarning,
    });
  }

  #urlOf({ target, ofApi, method }: RegistryRequest, endpoint: Endpoint): URL {
    if (typeof target !== "string") return target;
    const base = ofApi === true ? endpoint.api : `${endpoint.api}/${this.host.path}`;
    const url = new URL(`${endpoint.origin}${base}${target}`);
    const { namespace } = this.host;
    const isReading = method === "GET" || method === "HEAD";
    if (namespace !== undefined && isReading) url.searchParams.append("ns", namespace);
    return url;
  }

  /**
   * Where a redirect led to somebody who wants to know who we are: there we are nobody, and may have what nobody may
   * have.
   */
  async #answerStranger(
    response: HttpResponse,
    request: RegistryRequest,
    way: Way,
  ): Promise<HttpResponse> {
    const { signal } = request;
    const endpoint = { ...way.endpoint, origin: response.url.origin };
    const nobody = this.#authenticator(() => Promise.resolve(undefined));
    const isWiser = await nobody.learn(response, { sent: undefined, scopes: [], signal });
    if (!isWiser) throw await this.#refused(response, request, way);
    await discardBody(response);
    const authorization = await this.#told(request, () =>
      nobody.authorization(endpoint, [], signal),
    );
    const again = await this.#sendOnce(request, { endpoint, url: response.url, authorization });
    if (request.accept.includes(again.status)) return again;
    throw await this.#refused(again, request, way);
  }

  #sendOnce(request: RegistryRequest, way: Way): Promise<HttpResponse> {
    const { client, policy, onWarning } = this.#options;
    const { endpoint, url, authorization } = way;
    const { method, body, signal, bodyLimit } = request;
    const isOwn = url.origin === endpoint.origin;
    const own = isOwn ? this.host.headers : {};
    const sent: HttpRequest = {
      method,
      url,
      headers: {
        ...own,
        ...request.headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
      body,
      insecure: endpoint.isUnverified,
      tls: isOwn ? this.host.tls : withoutIdentities(this.host.tls),
      signal,
    };
    const registry = new URL(endpoint.origin);
    const isReading = method === "GET" || method === "HEAD";
    const send = (): Promise<HttpResponse> =>
      isReading
        ? requestFollowing({
            client,
            request: sent,
            ownHeaders: Object.keys(own),
            checkTarget: (target) => checkTarget(target, registry, "redirect"),
          })
        : client.request(sent);
    const attempts = isStream(body) || request.once === true ? 1 : policy.attempts;
    return this.#told(request, () =>
      sendPatiently({
        host: url.host,
        policy: { ...policy, attempts },
        signal,
        send,
        bodyLimit,
        registry: this.#options.registry,
        onWait: onWarning,
      }),
    );
  }

  /** Finds out which way the registry can be reached; most have one only, and then nothing is sent. */
  #connect(request: RegistryRequest): Promise<Endpoint> {
    this.#endpoint ??= this.#findEndpoint(request).catch((error: unknown) => {
      this.#endpoint = undefined;
      throw error;
    });
    return this.#endpoint;
  }

  async #findEndpoint(request: RegistryRequest): Promise<Endpoint> {
    const { policy } = this.#options;
    const { endpoints } = this.host;
    const [only] = endpoints;
    if (only !== undefined && endpoints.length === 1) return only;
    for (let attempt = 1; ; attempt += 1) {
      const { endpoint, failure } = await this.#ping(request.signal);
      if (endpoint !== undefined) return endpoint;
      if (attempt >= policy.attempts || !isWorthRepeating(failure, policy)) {
        return this.#told(request, () => Promise.reject(asError(failure)));
      }
      await waitFor(retryDelay({ attempt, policy }), request.signal);
    }
  }

  /** The first endpoint that answers like a registry, else the first that answers, else the first failure. */
  async #ping(
    signal: AbortSignal | undefined,
  ): Promise<{ readonly endpoint?: Endpoint | undefined; readonly failure?: unknown }> {
    const { tls } = this.host;
    let failure: unknown;
    let second: Endpoint | undefined;
    for (const endpoint of this.host.endpoints) {
      const url = new URL(`${endpoint.origin}${endpoint.api}/`);
      const insecure = endpoint.isUnverified;
      try {
        const response = await this.#options.client.request({
          method: "GET",
          url,
          insecure,
          tls,
          signal,
        });
        await discardBody(response);
        if (response.status === 200 || response.status === 401) return { endpoint };
        // A TLS server answers 400 to plain http.
        if (response.status !== 400) second ??= endpoint;
      } catch (error) {
        if (isTsbuildError(error, "CANCELED")) throw error;
        failure ??= error;
      }
    }
    return { endpoint: second, failure };
  }

  /** Failures below HTTP, told as failures of the registry. */
  async #told<T>(request: RegistryRequest, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unreachableError(error, request.attempt, this.host.domain);
    }
  }

  async #refused(response: HttpResponse, request: RegistryRequest, way: Way): Promise<Error> {
    const { credentialOrigin, secrets } = this.#auth;
    const { attempt, method } = request;
    const telling = method === "HEAD" ? await this.#askForReason(response, request, way) : response;
    const host = this.host.domain;
    return responseError(telling, { attempt, host, registry: host, credentialOrigin, secrets });
  }

  /** An answer to HEAD has no body: the same question by GET gets the registry's words. */
  async #askForReason(
    response: HttpResponse,
    request: RegistryRequest,
    way: Way,
  ): Promise<HttpResponse> {
    if (![401, 403].includes(response.status)) return response;
    const asked = await this.#sendOnce({ ...request, method: "GET" }, way).catch(() => undefined);
    if (asked?.status === response.status) return asked;
    if (asked !== undefined) await discardBody(asked);
    return response;
  }

  /** The token expired under an upload: the same upload succeeds with a fresh stream. */
  async #expired(response: HttpResponse, { attempt }: RegistryRequest): Promise<Error> {
    await discardBody(response);
    return registryError("REGISTRY_UNAUTHORIZED", `${attempt}: the access token has expired`, {
      details: { host: this.host.domain, status: 401, isRetryable: true },
    });
  }

  #warn(response: HttpResponse): void {
    for (const value of response.headers("warning")) {
      const text = /^299 \S+ "((?:[^"\\]|\\.)*)"/.exec(value)?.[1]?.replace(/\\(.)/g, "$1");

      const clean = text?.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ").slice(0, 500);
      if (clean === undefined || this.#warned.has(clean)) continue;
      this.#warned.add(clean);
      this.#options.onWarning?.(clean);
    }
  }
}

function asError(failure: unknown): Error {
  return failure instanceof Error ? failure : new Error("no registry answers");
}

function isStream(body: RegistryRequest["body"]): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

/** HTTP_* failures as REGISTRY_UNREACHABLE; anything else unchanged. */
export function unreachableError(error: unknown, attempt: string, host: string): unknown {
  if (!isTsbuildError(error) || !error.code.startsWith("HTTP_")) return error;
  const reason = String(error.details["reason"]);
  const message = error.cause instanceof Error ? error.cause.message || reason : reason;
  return registryError("REGISTRY_UNREACHABLE", `${attempt}: ${message.split("\n", 1)[0] ?? ""}`, {
    hint: error.hint ?? unreachableHint(reason, host),
    details: { ...error.details, host },
    cause: error,
  });
}

function unreachableHint(reason: string, host: string): string {
  if (reason === "ECONNREFUSED") {
    return "nothing listens there; check the port, and the proxy where one is set (HTTPS_PROXY)";
  }
  if (reason === "ENOTFOUND") return `no host of that name is known; is it spelled right?`;
  if (reason === "EPROTO" || reason.startsWith("ERR_SSL")) {
    return "the registry speaks no TLS; if that is intended, mark it as insecure";
  }
  if (reason === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "its certificate is made out for other names; use one of them, or mark the registry as insecure";
  }
  if (reason === "CERT_HAS_EXPIRED") {
    return "its certificate has expired, unless this machine's clock is wrong; have it renewed, or mark the registry as insecure";
  }
  if (/CERT|SIGNATURE|VERIFY/.test(reason)) {
    return `trust its certificate authority: copy it to /etc/containers/certs.d/${host}/ca.crt; or mark the registry as insecure`;
  }
  return "check the network and the proxy settings (HTTPS_PROXY, NO_PROXY), then try again";
}
