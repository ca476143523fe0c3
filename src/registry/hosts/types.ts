import type { TlsMaterial } from "../../core/index.ts";
import type { Environment } from "../auth-file.ts";
import type { Endpoint } from "../endpoint.ts";

/** One host that has a repository, and how it is spoken to. */
export interface RegistryHost {
  /** `host[:port]` as in a reference: for messages, and for its credentials. */
  readonly domain: string;
  /** The repository's name there. */
  readonly path: string;
  /** Ways to reach it, to be tried in order. */
  readonly endpoints: readonly Endpoint[];
  readonly tls: TlsMaterial | undefined;
  /** Sent with every request to this host; lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** The host whose content a mirror is asked for, where it wants to be told (`?ns=`). */
  readonly namespace: string | undefined;
  /** What a mirror is asked for: names by tag, content by digest, or both. */
  readonly serves: Serving;
}

export type Serving = "all" | "digests" | "tags";

/** Where a repository is read and written. */
export interface RegistryRoute {
  /** Asked first, in order, for what is read only. */
  readonly mirrors: readonly RegistryHost[];
  /** The registry itself. */
  readonly primary: RegistryHost;
}

/** Where settings of registries are looked for. */
export interface SettingsPlace {
  readonly env: Environment;
  /** `/etc`, except in tests. */
  readonly system: string;
}
