import { readBody, type HttpResponse } from "../core/index.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import type {
  CredentialQuery,
  Credentials,
  CredentialSource,
  FoundCredentials,
} from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { registryError } from "./errors.ts";
import { responseError } from "./response-error.ts";
import { joinScopes, scopesOf } from "./scopes.ts";
import {
  basicAuthorization,
  realmOf,
  requestToken,
  tokenBodyLimit,
  type TokenPath,
  type TokenRequest,
} from "./token-request.ts";

export interface AuthenticatorOptions extends TokenPath {
  readonly query: CredentialQuery;
  readonly source: CredentialSource;
}

interface Token {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** A token that was asked for; `value` once it is there. */
interface KeptToken {
  readonly scopes: readonly string[];
  readonly token: Promise<Token>;
  value?: string;
}

/** Tokens are renewed so much earlier than they expire, in milliseconds: a request takes time too. */
const safetyMargin = 10_000;

/**
 * Knows how to introduce requests to one registry: learns from challenges, finds credentials when they are first
 * needed, and keeps tokens by scope until they are about to expire.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, KeptToken>();
  /** What the registry demanded of requests that want certain scopes, beside these. */
  readonly #demanded = new Map<string, readonly string[]>();
  #challenge: Challenge | undefined;
  #found: Promise<FoundCredentials | undefined> | undefined;
  /** A newer identity token than the stored one. */
  #renewed: Credentials | undefined;
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
    const demanded = this.#demanded.get(keyOf(scopes)) ?? [];
    const wanted = joinScopes(demanded, scopes);
    const token = await this.#token({ endpoint, challenge, credentials, scopes: wanted, signal });
    return `Bearer ${token.value}`;
  }

  /**
   * Learns from a 401. True when the same request may succeed now; false when there is nothing better to offer than
   * the header that it carried.
   */
  async learn(
    response: HttpResponse,
    request: {
      readonly sent: string | undefined;
      readonly scopes: readonly string[];
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<boolean> {
    const { sent, scopes, signal } = request;
    const challenges = parseChallenges(response.headers("www-authenticate"));
    const challenge = ["bearer", "basic"]
      .map((scheme) => challenges.find((candidate) => candidate.scheme === scheme))
      .find((candidate) => candidate !== undefined);
    if (challenge === undefined) return false;
    const wasKnown = this.#challenge?.scheme === challenge.scheme;
    this.#challenge = challenge;
    const credentials = await this.#credentials(signal);
    if (credentials?.type === "registry-token") return sent === undefined;
    if (challenge.scheme === "basic") {
      const header = basicAuthorization(credentials);
      return header !== undefined && header !== sent;
    }
    const refused = this.#drop(sent);
    const demanded = scopesOf(challenge.parameters["scope"]);
    if (demanded.length > 0) this.#demanded.set(keyOf(scopes), demanded);
    // The same token once more would be refused once more.
    const isFinal =
      challenge.parameters["error"] === "insufficient_scope" &&
      refused !== undefined &&
      keyOf(refused.scopes) === keyOf(joinScopes(demanded, scopes));
    return !isFinal || !wasKnown;
  }

  /** Forgets the token that a refused request carried; another request may have replaced it meanwhile. */
  #drop(sent: string | undefined): KeptToken | undefined {
    for (const [key, kept] of this.#tokens) {
      if (sent !== `Bearer ${kept.value ?? ""}`) continue;
      this.#tokens.delete(key);
      return kept;
    }
    return undefined;
  }

  async #credentials(signal: AbortSignal | undefined): Promise<Credentials | undefined> {
    this.#found ??= this.#options.source(this.#options.query, signal).catch((error: unknown) => {
      this.#found = undefined;
      throw error;
    });
    const found = await this.#found;
    if (found === undefined) return undefined;
    if (this.credentialOrigin === undefined) {
      this.credentialOrigin = found.origin;
      this.secrets.push(...secretsOf(found.credentials));
    }
    return this.#renewed ?? found.credentials;
  }

  async #token(request: TokenRequest): Promise<Token> {
    const key = keyOf(request.scopes);
    const known = this.#tokens.get(key);
    if (known !== undefined && (await known.token).expires > Date.now() + safetyMargin) {
      return known.token;
    }
    // Whoever else found it expired asks for the same new one.
    if (known !== undefined && this.#tokens.get(key) !== known) return this.#token(request);
    const kept: KeptToken = { scopes: request.scopes, token: this.#fetchToken(request) };
    this.#tokens.set(key, kept);
    kept.token.then(
      ({ value }) => (kept.value = value),
      () => this.#tokens.delete(key),
    );
    return kept.token;
  }

  async #fetchToken(request: TokenRequest): Promise<Token> {
    const { host } = realmOf(request);
    const response = await requestToken(this.#options, request);
    if (response.status === 200) {
      return this.#readToken(host, request, await readBody(response, tokenBodyLimit));
    }
    throw await responseError(response, {
      attempt: `ask ${host} for a token`,
      host,
      registry: this.#options.query.domain,
      credentialOrigin: this.credentialOrigin,
      secrets: this.secrets,
    });
  }

  #readToken(host: string, { credentials }: TokenRequest, body: Buffer): Token {
    const answer = parseAnswer(body);
    const value = textOf(answer["token"]) ?? textOf(answer["access_token"]);
    if (value === undefined) {
      throw registryError("REGISTRY_ANSWER_INVALID", `ask ${host} for a token: it gives none`, {
        details: { host },
      });
    }
    const refresh = textOf(answer["refresh_token"]);
    if (refresh !== undefined && credentials?.type === "identity-token") {
      this.#renewed = { type: "identity-token", token: refresh };
    }
    this.secrets.push(value, ...(refresh === undefined ? [] : [refresh]));
    const seconds = answer["expires_in"];
    const lifetime = typeof seconds === "number" ? Math.max(seconds, 60) : 60;
    return { value, expires: Date.now() + lifetime * 1000 };
  }
}

function keyOf(scopes: readonly string[]): string {
  return [...scopes].sort().join(" ");
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
