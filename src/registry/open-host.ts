import {
  defaultRetryPolicy,
  discardBody,
  isTsbuildError,
  openHttpClient,
  retold,
  type HttpClient,
} from "../core/index.ts";
import { findStoredCredentials, type Credentials } from "./credentials.ts";
import { readRepositories, type ListOptions } from "./listings.ts";
import { Route } from "./route.ts";
import type { Transport } from "./transport.ts";
import type { OpenRegistryOptions } from "./types.ts";

/** A registry as a whole, not one of its repositories. */
export interface RegistryHostOptions extends Pick<
  OpenRegistryOptions,
  "insecure" | "retry" | "settings" | "onWarning"
> {
  /** As in a reference: `docker.io`, `127.0.0.1:5000`. */
  readonly domain: string;
  readonly client?: HttpClient | undefined;
}

/**
 * Asks a registry whether it knows who gives these credentials, before they are saved.
 * @throws REGISTRY_UNAUTHORIZED when it does not; other REGISTRY_* codes, CANCELED
 */
export async function checkCredentials(
  options: RegistryHostOptions & {
    readonly credentials: Credentials;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { credentials, domain, signal } = options;
  const source = () => Promise.resolve({ credentials, origin: "what was just given" });
  try {
    await withTransport(options, source, async (transport) => {
      const response = await transport.send({
        method: "GET",
        target: "/",
        ofApi: true,
        accept: [200],
        attempt: `log in to ${domain}`,
        signal,
      });
      await discardBody(response);
    });
  } catch (error) {
    // No repository is asked for: what the hint says elsewhere is not what happened here.
    if (!isTsbuildError(error, "REGISTRY_UNAUTHORIZED")) throw error;
    throw retold(error, {
      hint: "user or password is wrong; some registries want a token instead",
    });
  }
}

/**
 * The names of the repositories of a registry, in its order; many registries do not tell them.
 * @throws REGISTRY_* codes, CANCELED
 */
export async function listRepositories(
  options: RegistryHostOptions & ListOptions & Pick<OpenRegistryOptions, "credentials">,
): Promise<readonly string[]> {
  const { credentials = findStoredCredentials(), last, limit, signal } = options;
  const found: string[] = [];
  await withTransport(options, credentials, async (transport) => {
    for await (const name of readRepositories(transport, { last, limit, signal })) found.push(name);
  });
  return found;
}

async function withTransport(
  options: RegistryHostOptions,
  source: NonNullable<OpenRegistryOptions["credentials"]>,
  work: (transport: Transport) => Promise<void>,
): Promise<void> {
  const { domain, client = openHttpClient(), retry: policy = defaultRetryPolicy } = options;
  const reference = { domain, path: "" };
  const route = new Route({ ...options, reference, access: "pull" }, { client, source, policy });
  try {
    await work(await route.primary());
  } finally {
    if (options.client === undefined) await client.close();
  }
}
