import { chmod, chown, realpath, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, lockDirectory, makeFolder, writeFileAtomic } from "../core/index.ts";
import {
  authFilePaths,
  authKeysOf,
  dockerAuthFile,
  helperFor,
  isServerOf,
  readAuthFile,
  serverKeys,
  type AuthFile,
  type Environment,
} from "./auth-file.ts";
import { eraseFromHelper, listHelper, storeInHelper } from "./credential-helper.ts";
import { findStoredCredentials, type Credentials } from "./credentials.ts";
import { registryError } from "./errors.ts";
import { removeJsonMember, setJsonMember } from "./json-members.ts";

export interface SaveCredentialsOptions {
  /** As in a reference: `docker.io`, `127.0.0.1:5000`. */
  readonly domain: string;
  readonly credentials: Credentials;
  readonly env?: Environment | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SavedCredentials {
  /** The file that was written. */
  readonly path: string;
  /** The helper that keeps the secret; undefined when it stands in the file, where whoever reads that can read it. */
  readonly helper: string | undefined;
}

/**
 * Keeps credentials for later: with the helper that the file names, else in the file. The file is the one that
 * REGISTRY_AUTH_FILE names, else Docker's. It is replaced as a whole, with mode 0600; what else stands in it stays as
 * it is, byte for byte.
 * @throws REGISTRY_CREDENTIALS_INVALID when the file cannot be read, understood or written, or the helper fails
 */
export async function saveCredentials(options: SaveCredentialsOptions): Promise<SavedCredentials> {
  const { domain, credentials, env = process.env, signal } = options;
  checkUsername(credentials, domain);
  const path = env["REGISTRY_AUTH_FILE"] || dockerAuthFile(env);
  return withAuthFileLock(path, signal, async () =>
    saveIn(path, { domain, credentials, env, signal }),
  );
}

async function saveIn(
  path: string,
  options: SaveCredentialsOptions & { readonly env: Environment },
): Promise<SavedCredentials> {
  const { domain, credentials, env, signal } = options;
  const file = await readAuthFile(path);
  const [server] = serverKeys(domain);
  const helper = file === undefined ? undefined : helperFor(file.document, domain);
  if (helper !== undefined) {
    await storeInHelper({ helper, server, env, signal }, helperSecret(credentials, server));
  }
  // As Docker does: an empty entry says that somebody is logged in.
  const entry = helper === undefined ? entryOf(credentials) : {};
  // Other spellings of the same host would win, or lie in wait for a logout.
  const stale = authKeysOf(file?.document ?? {}, domain).filter((key) => key !== server);
  const cleared = stale.reduce(
    (text, key) => removeJsonMember(text, ["auths", key]),
    file?.text ?? "{}",
  );
  await writeAuthFile(path, setJsonMember(cleared, ["auths", server], entry));
  return { path, helper };
}

export interface ErasedCredentials {
  /** The files and helpers that knew the registry, and do no longer. */
  readonly origins: readonly string[];
  /** Where credentials for it are found all the same, such as DOCKER_AUTH_CONFIG. */
  readonly remaining: string | undefined;
}

/**
 * Forgets the credentials of a registry, in every file and helper that `findStoredCredentials` asks. Those of single
 * repositories (keys with a path) stay.
 * @throws REGISTRY_CREDENTIALS_INVALID when a file cannot be read, understood or written, or a helper fails
 */
export async function eraseCredentials(options: {
  readonly domain: string;
  readonly env?: Environment | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<ErasedCredentials> {
  const { domain, env = process.env, signal } = options;
  const origins: string[] = [];
  for (const path of authFilePaths(env)) {
    if ((await readAuthFile(path)) === undefined) continue;
    await withAuthFileLock(path, signal, async () => {
      const file = await readAuthFile(path);
      if (file !== undefined) origins.push(...(await eraseIn(file, { domain, env, signal })));
    });
  }
  const found = await findStoredCredentials(env)({ domain, path: "" }, signal);
  return { origins: [...new Set(origins)], remaining: found?.origin };
}

async function eraseIn(
  { path, text, document }: AuthFile,
  about: {
    readonly domain: string;
    readonly env: Environment;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly string[]> {
  const { domain, env, signal } = about;
  const origins: string[] = [];
  const helper = helperFor(document, domain);
  if (helper !== undefined) {
    for (const server of await serversIn({ helper, env, signal }, domain)) {
      const wasKnown = await eraseFromHelper({ helper, server, env, signal });
      if (wasKnown) origins.push(`docker-credential-${helper}`);
    }
  }
  const keys = authKeysOf(document, domain);
  if (keys.length === 0) return origins;
  const isLegacy = path.endsWith("/.dockercfg");
  const cleared = keys.reduce(
    (rest, key) => removeJsonMember(rest, isLegacy ? [key] : ["auths", key]),
    text,
  );
  await writeAuthFile(path, cleared);
  return [...origins, path];
}

/** The names under which a helper keeps a registry: those that we would use, and every other spelling that it lists. */
async function serversIn(
  query: Parameters<typeof listHelper>[0],
  domain: string,
): Promise<readonly string[]> {
  // Many helpers of people's own making know nothing but `get` and `erase`.
  const listed = await listHelper(query).catch((error: unknown) => {
    if (query.signal?.aborted === true) throw error;
    return new Map<string, string>();
  });
  const spellings = [...listed.keys()].filter((server) => isServerOf(domain, server));
  return [...new Set([...serverKeys(domain), ...spellings])];
}

function checkUsername(credentials: Credentials, domain: string): void {
  if (credentials.type !== "password" || /^[^:]+$/.test(credentials.username)) return;
  throw registryError("REGISTRY_CREDENTIALS_INVALID", `keep credentials for ${domain}`, {
    hint: "a user name is not empty and has no colon, since it ends where the password begins",
    details: { domain },
  });
}

function entryOf(credentials: Credentials): Readonly<Record<string, string>> {
  switch (credentials.type) {
    case "password": {
      const pair = `${credentials.username}:${credentials.password}`;
      return { auth: Buffer.from(pair).toString("base64") };
    }
    case "identity-token":
      return { identitytoken: credentials.token };
    case "registry-token":
      return { registrytoken: credentials.token };
  }
}

function helperSecret(
  credentials: Credentials,
  server: string,
): { readonly username: string; readonly secret: string } {
  switch (credentials.type) {
    case "password":
      return { username: credentials.username, secret: credentials.password };
    case "identity-token":
      return { username: "<token>", secret: credentials.token };
    case "registry-token":
      throw registryError("REGISTRY_CREDENTIALS_INVALID", `store a registry token for ${server}`, {
        hint: "credential helpers keep passwords and identity tokens only",
        details: { server },
      });
  }
}

async function writeAuthFile(path: string, content: string): Promise<void> {
  try {
    // Where the file is a link, it stays one: only what it leads to is replaced.
    const target = await realpath(path).catch(() => path);
    const before = await stat(target).catch(() => undefined);
    await writeFileAtomic({
      path: target,
      tmpDir: dirname(target),
      content,
      mode: 0o600,
      durable: true,
    });
    await chmod(target, 0o600);
    // Root that logs in for somebody else must not take their file away.
    if (before !== undefined && before.uid !== process.geteuid?.()) {
      await chown(target, before.uid, before.gid);
    }
  } catch (error) {
    throw notWritable(path, error);
  }
}

function notWritable(path: string, cause: unknown): Error {
  return registryError("REGISTRY_CREDENTIALS_INVALID", `write credentials file ${path}`, {
    hint: "make its folder writable, or point DOCKER_CONFIG elsewhere",
    details: { path, reason: errnoOf(cause) },
    cause,
  });
}

/**
 * Runs work while no other login or logout of tsbuild changes files in the same folder: between reading a file and
 * replacing it, what another one wrote would be lost. The lock is on the folder, so that no lock file stays behind.
 */
async function withAuthFileLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await lockFolder(path, signal);
  try {
    return await work();
  } finally {
    await lock.close();
  }
}

async function lockFolder(path: string, signal: AbortSignal | undefined): Promise<FileHandle> {
  const target = await realpath(path).catch(() => path);
  try {
    makeFolder(dirname(target), 0o700);
    return await lockDirectory(dirname(target), signal);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw notWritable(path, error);
  }
}
