import { discardBody, readBody, type HttpClient, type HttpResponse } from "../core/index.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type {
  CredentialQuery,
  Credentials,
  CredentialSource,
  FoundCredentials,
} from "./credentials.ts";
import { checkTarget, type Endpoint } from "./endpoint.ts";
import { registryError } from "./errors.ts";
import { responseError } from "./response-error.ts";
import { sendPatiently, type RetryPolicy } from "./retry.ts";

export interface AuthenticatorOptions {
  readonly client: HttpClient;
  readonly query: CredentialQuery;
  readonly source: CredentialSource;
  readonly policy: RetryPolicy;
}

interface Token {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

const tokenBodyLimit = 64 * 1024;
/** Tokens are renewed so much earlier than they expire, in milliseconds: a request takes time too. */
const safetyMargin = 10_000;

/**
 * Knows how to introduce requests to one registry: learns from challenges, finds credentials when they are first
 * needed, and keeps tokens by scope until they are about to expire.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, Promise<Token>>();
  #challenge: Challenge | undefined;
  #found: Promise<FoundCredentials | undefined> | undefined;
  #identityToken: string | undefined;
  /** Where the credentials in use came from, once it is known. */
  credentialOrigin: string | undefined;
  /** Everything that must not appear in messages. */
  readonly secrets: string[] = [];

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** The value for an Authorization header; undefined as long as nobody asked for one. */
  async authorization(
    endpoint: Endpoint,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    const credentials = await this.#credentials(signal);
    if (credentials?.type === "registry-token") return `Bearer ${credentials.token}`;
    if (challenge.scheme === "basic") return basicAuthorization(credentials);
    const token = await this.#token({ endpoint, challenge, credentials, scopes, signal });
    return `Bearer ${token.value}`;
  }

  /**
   * Learns from a 401. True when the same request may succeed now; false when there is nothing better to offer than
   * the header that it carried.
   */
  async learn(
    response: HttpResponse,
    sent: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const challenges = parseChallenges(response.headers("www-authenticate"));
    const challenge = ["bearer", "basic"]
      .map((scheme) => challenges.find((candidate) => candidate.scheme === scheme))
      .find((candidate) => candidate !== undefined);
    if (challenge === undefined) return false;
    const isRefused = sent !== undefined && challenge.parameters["error"] === "insufficient_scope";
    const wasKnown = this.#challenge?.scheme === challenge.scheme;
    this.#challenge = challenge;
    this.#tokens.clear();
    if (challenge.scheme === "basic") {
      return !wasKnown && basicAuthorization(await this.#credentials(signal)) !== undefined;
    }
    return !isRefused || !wasKnown;
  }

  async #credentials(signal: AbortSignal | undefined): Promise<Credentials | undefined> {
    this.#found ??= this.#options.source(this.#options.query, signal);
    const found = await this.#found;
    if (found === undefined) return undefined;
    if (this.credentialOrigin === undefined) {
      this.credentialOrigin = found.origin;
      this.secrets.push(...secretsOf(found.credentials));
    }
    return found.credentials;
  }

  async #token(request: TokenRequest): Promise<Token> {
    const scopes = scopeSet(request.challenge.parameters["scope"], request.scopes);
    const key = [...scopes].sort().join(" ");
    const known = this.#tokens.get(key);
    if (known !== undefined && (await known).expires > Date.now() + safetyMargin) return known;
    // Whoever else found it expired asks for the same new one.
    if (known !== undefined && this.#tokens.get(key) !== known) return this.#token(request);
    const fetched = this.#fetchToken({ ...request, scopes });
    this.#tokens.set(key, fetched);
    fetched.catch(() => this.#tokens.delete(key));
    return fetched;
  }

  async #fetchToken(request: TokenRequest): Promise<Token> {
    const realm = realmOf(request);
    const { credentials } = request;
    const identity =
      this.#identityToken ??
      (credentials?.type === "identity-token" ? credentials.token : undefined);
    const response =
      identity === undefined
        ? await this.#getToken(realm, request)
        : await this.#postToken(realm, request, identity);
    if (response.status !== 200) {
      throw await responseError(response, {
        attempt: `ask ${realm.host} for a token`,
        host: realm.host,
        credentialOrigin: this.credentialOrigin,
        secrets: this.secrets,
      });
    }
    return this.#readToken(realm, await readBody(response, tokenBodyLimit));
  }

  async #getToken(realm: URL, request: TokenRequest): Promise<HttpResponse> {
    const { service } = request.challenge.parameters;
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.append("service", service);
    for (const scope of request.scopes) url.searchParams.append("scope", scope);
    const authorization = basicAuthorization(request.credentials);
    return this.#send(request, {
      method: "GET",
      url,
      headers: authorization === undefined ? {} : { authorization },
    });
  }

  /** @see distribution, docs/spec/auth/oauth.md */
  async #postToken(realm: URL, request: TokenRequest, identity: string): Promise<HttpResponse> {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: "tsbuild",
      service: request.challenge.parameters["service"] ?? "",
      scope: request.scopes.join(" "),
      refresh_token: identity,
    });
    const response = await this.#send(request, {
      method: "POST",
      url: realm,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: Buffer.from(form.toString()),
    });
    if (response.status !== 404) return response;
    // Token servers of the first generation know only GET.
    await discardBody(response);
    return this.#getToken(realm, request);
  }

  #send(
    { endpoint, signal }: TokenRequest,
    request: { method: string; url: URL; headers: Record<string, string>; body?: Buffer },
  ): Promise<HttpResponse> {
    const { client, policy } = this.#options;
    const insecure = endpoint.isUnverified;
    return sendPatiently({
      policy,
      signal,
      send: () => client.request({ ...request, insecure, signal }),
    });
  }

  #readToken(realm: URL, body: Buffer): Token {
    const answer = parseAnswer(body);
    const value = textOf(answer["token"]) ?? textOf(answer["access_token"]);
    if (value === undefined) {
      throw registryError(
        "REGISTRY_ANSWER_INVALID",
        `ask ${realm.host} for a token: it gives none`,
        {
          details: { host: realm.host },
        },
      );
    }
    const refresh = textOf(answer["refresh_token"]);
    if (refresh !== undefined && this.#identityToken !== undefined) this.#identityToken = refresh;
    this.secrets.push(value, ...(refresh === undefined ? [] : [refresh]));
    const seconds = answer["expires_in"];
    const lifetime = typeof seconds === "number" ? Math.max(seconds, 60) : 60;
    return { value, expires: Date.now() + lifetime * 1000 };
  }
}

interface TokenRequest {
  readonly endpoint: Endpoint;
  readonly challenge: Challenge;
  readonly credentials: Credentials | undefined;
  readonly scopes: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** The scope that the registry demands comes first, since some token servers look at the first one only. */
function scopeSet(demanded: string | undefined, wanted: readonly string[]): readonly string[] {
  const first = (demanded ?? "").split(" ").filter((scope) => scope !== "");
  return [...new Set([...first, ...wanted])];
}

function realmOf({ challenge, endpoint }: TokenRequest): URL {
  const registry = new URL(endpoint.origin);
  const text = challenge.parameters["realm"] ?? "";
  if (!URL.canParse(text)) {
    throw registryError(
      "REGISTRY_ANSWER_INVALID",
      `log in to ${registry.host}: its challenge has no realm`,
      {
        details: { host: registry.host },
      },
    );
  }
  const realm = new URL(text);
  const isPlain = realm.protocol !== "https:" && realm.host !== registry.host;
  if (isPlain && registry.protocol === "https:") {
    throw registryError("REGISTRY_TARGET_REFUSED", `log in to ${registry.host} at ${realm.host}`, {
      hint: "the registry names a token server without TLS, which would show it the credentials",
      details: { host: registry.host, target: realm.host, what: "token server" },
    });
  }
  checkTarget(realm, registry, "token server");
  return realm;
}

function basicAuthorization(credentials: Credentials | undefined): string | undefined {
  if (credentials?.type !== "password") return undefined;
  const pair = `${credentials.username}:${credentials.password}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

function secretsOf(credentials: Credentials): readonly string[] {
  if (credentials.type !== "password") return [credentials.token];
  const { username, password } = credentials;
  return [password, Buffer.from(`${username}:${password}`).toString("base64")];
}

function parseAnswer(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below as an answer without a token; the text itself may be one.
  }
  return {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
