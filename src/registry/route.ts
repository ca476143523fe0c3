import { isTsbuildError, type HttpClient, type RetryPolicy } from "../core/index.ts";
import type { CredentialSource } from "./credentials.ts";
import { findRoute } from "./hosts/find-route.ts";
import type { RegistryHost, Serving } from "./hosts/types.ts";
import { Transport } from "./transport.ts";
import type { OpenRegistryOptions } from "./types.ts";

/** Mirrors are asked less patiently: behind them is the registry itself. */
function hasty(policy: RetryPolicy): RetryPolicy {
  return { ...policy, attempts: Math.min(2, policy.attempts), repeatsTimeouts: false };
}

/** Failures of a mirror that the next request would meet again. */
const worthless = ["REGISTRY_UNREACHABLE", "DIGEST_MISMATCH", "SIZE_MISMATCH"] as const;

/** The hosts of a repository, found when they are first needed. */
export class Route {
  readonly #options: OpenRegistryOptions;
  readonly #common: {
    readonly client: HttpClient;
    readonly source: CredentialSource;
    readonly policy: RetryPolicy;
  };
  /** Mirrors that could not be reached, or gave wrong content: they are not asked again. */
  readonly #gone = new Set<Transport>();
  #found: Promise<Found> | undefined;

  constructor(
    options: OpenRegistryOptions,
    common: {
      readonly client: HttpClient;
      readonly source: CredentialSource;
      readonly policy: RetryPolicy;
    },
  ) {
    this.#options = options;
    this.#common = common;
  }

  /** The registry itself. @throws REGISTRY_SETTINGS_INVALID, REGISTRY_BLOCKED */
  async primary(): Promise<Transport> {
    return (await this.#find()).primary;
  }

  /** Who is asked for a tag or for content by its digest, in order; the registry itself last. */
  async readers(kind: Exclude<Serving, "all">): Promise<readonly Transport[]> {
    const { mirrors, primary } = await this.#find();
    const asked = mirrors.filter(
      (mirror) =>
        !this.#gone.has(mirror) && (mirror.host.serves === "all" || mirror.host.serves === kind),
    );
    return [...asked, primary];
  }

  /** A mirror is not worth being asked again. */
  leave(mirror: Transport): void {
    this.#gone.add(mirror);
  }

  /**
   * The first answer that somebody gives: `ask` returns undefined for "not here". What mirrors do not have, refuse or
   * cannot say is asked of the next one; the registry's own answer counts.
   */
  async ask<T>(
    kind: Exclude<Serving, "all">,
    ask: (transport: Transport) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const readers = await this.readers(kind);
    for (const transport of readers.slice(0, -1)) {
      try {
        const answer = await ask(transport);
        if (answer !== undefined) return answer;
      } catch (error) {
        if (isTsbuildError(error, "CANCELED")) throw error;
        if (worthless.some((code) => isTsbuildError(error, code))) this.leave(transport);
      }
    }
    return ask(await this.primary());
  }

  #find(): Promise<Found> {
    this.#found ??= this.#open().catch((error: unknown) => {
      this.#found = undefined;
      throw error;
    });
    return this.#found;
  }

  async #open(): Promise<Found> {
    const { reference, insecure = false, settings = {}, access } = this.#options;
    const { policy } = this.#common;
    const { env = process.env, system = "/etc" } = settings;
    const route = await findRoute({
      domain: reference.domain,
      path: reference.path,
      insecure,
      place: { env, system },
    });
    return {
      primary: this.#transport(route.primary, access === "push" ? "pull,push" : "pull"),
      mirrors: route.mirrors.map((host) => this.#transport(host, "pull", hasty(policy))),
    };
  }

  #transport(host: RegistryHost, actions: string, policy = this.#common.policy): Transport {
    return new Transport({
      ...this.#common,
      host,
      scopes: host.path === "" ? [] : [`repository:${host.path}:${actions}`],
      policy,
      registry: this.#options.reference.domain,
      onWarning: this.#options.onWarning,
    });
  }
}

interface Found {
  readonly primary: Transport;
  readonly mirrors: readonly Transport[];
}
