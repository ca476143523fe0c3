import {
  authFilePaths,
  findAuthEntry,
  helperFor,
  parseAuthDocument,
  readAuthFile,
  serverKeys,
  type Environment,
  type JsonObject,
} from "./auth-file.ts";
import { askCredentialHelper } from "./credential-helper.ts";
import { registryError } from "./errors.ts";

/** How to introduce oneself to one registry. */
export type Credentials =
  | { readonly type: "password"; readonly username: string; readonly password: string }
  /** A long-lived token that is traded for short ones. */
  | { readonly type: "identity-token"; readonly token: string }
  /** A token that is sent as it is. */
  | { readonly type: "registry-token"; readonly token: string };

export interface FoundCredentials {
  readonly credentials: Credentials;
  /** The file or helper that knew them, for messages. */
  readonly origin: string;
}

export interface CredentialQuery {
  /** As in a reference: `docker.io`, `127.0.0.1:5000`. */
  readonly domain: string;
  readonly path: string;
}

/** Finds credentials; undefined for anonymous access. */
export type CredentialSource = (
  query: CredentialQuery,
  signal?: AbortSignal,
) => Promise<FoundCredentials | undefined>;

/**
 * Looks where Docker and Podman look: DOCKER_AUTH_CONFIG (the document itself), then the files of DOCKER_CONFIG or
 * ~/.docker, REGISTRY_AUTH_FILE, containers/auth.json, and ~/.dockercfg. Inside a file a helper of the host wins over
 * the general helper, and both over written credentials; the most specific key wins.
 * @throws REGISTRY_CREDENTIALS_INVALID for a file that cannot be read or understood, or a helper that fails
 */
export function findStoredCredentials(env: Environment = process.env): CredentialSource {
  return async (query, signal) => {
    const inline = env["DOCKER_AUTH_CONFIG"];
    if (inline) {
      const path = "DOCKER_AUTH_CONFIG";
      const found = await findIn(parseAuthDocument(path, inline), { query, path, env, signal });
      if (found !== undefined) return found;
    }
    for (const path of authFilePaths(env)) {
      const file = await readAuthFile(path);
      if (file === undefined) continue;
      const found = await findIn(file.document, { query, path, env, signal });
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

async function findIn(
  file: JsonObject,
  at: {
    readonly query: CredentialQuery;
    readonly path: string;
    readonly env: Environment;
    readonly signal: AbortSignal | undefined;
  },
): Promise<FoundCredentials | undefined> {
  const { query, path, env, signal } = at;
  const helper = helperFor(file, query.domain);
  if (helper !== undefined) {
    const [server] = serverKeys(query.domain);
    const credentials = await askCredentialHelper({ helper, server, env, signal });
    if (credentials !== undefined) {
      return { credentials, origin: `docker-credential-${helper} (named in ${path})` };
    }
  }
  const entry = findAuthEntry(file, query);
  const credentials = entry === undefined ? undefined : readEntry(entry.value, entry.key, path);
  return credentials === undefined ? undefined : { credentials, origin: path };
}

function readEntry(entry: JsonObject, key: string, path: string): Credentials | undefined {
  const text = (name: string): string | undefined => {
    const value = entry[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const registryToken = text("registrytoken");
  if (registryToken !== undefined) return { type: "registry-token", token: registryToken };
  const identityToken = text("identitytoken");
  if (identityToken !== undefined) return { type: "identity-token", token: identityToken };
  const auth = text("auth");
  if (auth !== undefined) return decodeAuth(auth, key, path);
  const username = text("username");
  const password = text("password");
  if (username === undefined || password === undefined) return undefined;
  return { type: "password", username, password };
}

function decodeAuth(auth: string, key: string, path: string): Credentials {
  const pair = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = pair.indexOf(":");
  if (colon > 0) {
    return { type: "password", username: pair.slice(0, colon), password: pair.slice(colon + 1) };
  }
  throw registryError("REGISTRY_CREDENTIALS_INVALID", `read credentials for ${key} in ${path}`, {
    hint: "its auth must be the base64 form of user:password; log in again",
    details: { path, key },
  });
}
