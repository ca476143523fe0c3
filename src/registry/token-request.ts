import {
  discardBody,
  sendPatiently,
  withoutIdentities,
  type HttpClient,
  type HttpResponse,
  type RetryPolicy,
  type TlsMaterial,
} from "../core/index.ts";
import type { Challenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { checkTarget, type Endpoint } from "./endpoint.ts";
import { registryError } from "./errors.ts";

/** More bytes than any token has. */
export const tokenBodyLimit = 64 * 1024;

/** A token that is wanted, and from whom. */
export interface TokenRequest {
  readonly endpoint: Endpoint;
  readonly challenge: Challenge;
  readonly credentials: Credentials | undefined;
  readonly scopes: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** The way to token servers. */
export interface TokenPath {
  readonly client: HttpClient;
  readonly tls: TlsMaterial | undefined;
  readonly policy: RetryPolicy;
  /** See `PatientRequest.registry`. */
  readonly registry: string;
  readonly onWait: ((text: string) => void) | undefined;
}

/**
 * Asks a token server, in the way that fits the credentials, and in the other one where the server does not know that.
 * Returns its last answer, whatever it is.
 * @throws REGISTRY_ANSWER_INVALID, REGISTRY_TARGET_REFUSED for its address
 * @see distribution, docs/spec/auth
 */
export async function requestToken(path: TokenPath, request: TokenRequest): Promise<HttpResponse> {
  const { credentials } = request;
  if (credentials?.type === "identity-token") {
    const response = await post(path, request, {
      grant_type: "refresh_token",
      refresh_token: credentials.token,
    });
    // Servers of the first generation know only GET (404, 405), and there are some that answer 400 or 401 instead.
    if (![400, 401, 404, 405].includes(response.status)) return response;
    await discardBody(response);
    return get(path, request, basic("", credentials.token));
  }
  const response = await get(path, request, basicAuthorization(credentials));
  if (credentials?.type !== "password" || ![404, 405].includes(response.status)) return response;
  await discardBody(response);
  const { username, password } = credentials;
  return post(path, request, { grant_type: "password", username, password });
}

async function get(
  path: TokenPath,
  request: TokenRequest,
  authorization: string | undefined,
): Promise<HttpResponse> {
  const { service } = request.challenge.parameters;
  const url = realmOf(request);
  if (service !== undefined) url.searchParams.append("service", service);
  for (const scope of request.scopes) url.searchParams.append("scope", scope);
  return send(path, request, {
    method: "GET",
    url,
    headers: authorization === undefined ? {} : { authorization },
  });
}

async function post(
  path: TokenPath,
  request: TokenRequest,
  grant: Readonly<Record<string, string>>,
): Promise<HttpResponse> {
  const form = new URLSearchParams({
    ...grant,
    client_id: "tsbuild",
    service: request.challenge.parameters["service"] ?? "",
    scope: request.scopes.join(" "),
  });
  return send(path, request, {
    method: "POST",
    url: realmOf(request),
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: Buffer.from(form.toString()),
  });
}

function send(
  { client, tls, policy, registry, onWait }: TokenPath,
  { endpoint, signal }: TokenRequest,
  sent: { method: string; url: URL; headers: Record<string, string>; body?: Buffer },
): Promise<HttpResponse> {
  // A certificate that the registry asked for is nothing that a token server elsewhere should see.
  const isOwn = sent.url.origin === endpoint.origin;
  const material = isOwn ? tls : withoutIdentities(tls);
  return sendPatiently({
    host: sent.url.host,
    policy,
    signal,
    registry,
    onWait,
    bodyLimit: tokenBodyLimit,
    send: () => client.request({ ...sent, insecure: endpoint.isUnverified, tls: material, signal }),
  });
}

/** The token server's address, checked. @throws REGISTRY_ANSWER_INVALID, REGISTRY_TARGET_REFUSED */
export function realmOf({ challenge, endpoint }: TokenRequest): URL {
  const registry = new URL(endpoint.origin);
  const text = challenge.parameters["realm"] ?? "";
  if (!URL.canParse(text, registry.href) || text === "") {
    throw registryError(
      "REGISTRY_ANSWER_INVALID",
      `log in to ${registry.host}: its challenge has no realm`,
      { details: { host: registry.host } },
    );
  }
  const realm = new URL(text, registry);
  const isPlain = realm.protocol !== "https:" && realm.host !== registry.host;
  if (!/^https?:$/.test(realm.protocol) || (isPlain && registry.protocol === "https:")) {
    throw registryError("REGISTRY_TARGET_REFUSED", `log in to ${registry.host} at ${realm.host}`, {
      hint: "the registry names a token server without TLS, which would show it the credentials",
      details: { host: registry.host, target: realm.host, what: "token server" },
    });
  }
  checkTarget(realm, registry, "token server");
  return realm;
}

/** The header for Basic; undefined for credentials that are no password. */
export function basicAuthorization(credentials: Credentials | undefined): string | undefined {
  if (credentials?.type !== "password") return undefined;
  return basic(credentials.username, credentials.password);
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
