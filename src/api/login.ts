import { explainSystemError, systemClock, type ProgressListener } from "../core/index.ts";
import { usageError } from "./errors.ts";
import { registryWarner } from "./open-repository.ts";

export interface RegistryLoginOptions {
  /** Host as it begins names, such as `ghcr.io` or `127.0.0.1:5000`; Docker Hub unless given. */
  readonly registry?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ProgressListener | undefined;
}

/** Where something is kept. */
export interface SavedLogin {
  readonly registry: string;
  readonly path: string;
  /** The credential helper that keeps the secret; without one it stands in the file. */
  readonly helper: string | undefined;
}

/**
 * Asks the registry whether it knows user and password, and keeps them where docker does when it does.
 * @throws USAGE, REGISTRY_UNAUTHORIZED, REGISTRY_UNREACHABLE, REGISTRY_CREDENTIALS_INVALID
 */
export async function logIn(
  options: RegistryLoginOptions & { readonly username: string; readonly password: string },
): Promise<SavedLogin> {
  const { username, password, insecure, signal, progress = () => undefined } = options;
  if (username === "") throw usageError("log in without a user", "give one with -u");
  if (password === "") throw usageError("log in without a password", "an empty one is none");
  const registry = registryHost(options.registry);
  const { checkCredentials, saveCredentials } = await import("../registry/index.ts");
  const credentials = { type: "password", username, password } as const;
  return withReason(async () => {
    const onWarning = registryWarner({ progress, clock: systemClock }, registry);
    await checkCredentials({ domain: registry, credentials, insecure, signal, onWarning });
    const saved = await saveCredentials({ domain: registry, credentials, signal });
    return { registry, ...saved };
  });
}

export interface ForgottenLogin {
  readonly registry: string;
  /** Files and helpers that knew it. */
  readonly origins: readonly string[];
  /** Where credentials for it are found all the same. */
  readonly remaining: string | undefined;
}

/** Forgets what is kept for a registry. @throws USAGE, REGISTRY_CREDENTIALS_INVALID */
export async function logOut(options: RegistryLoginOptions): Promise<ForgottenLogin> {
  const registry = registryHost(options.registry);
  const { eraseCredentials } = await import("../registry/index.ts");
  const { signal } = options;
  return withReason(async () => ({
    registry,
    ...(await eraseCredentials({ domain: registry, signal })),
  }));
}

/** What people write for a registry: a host, or an address of old such as `https://index.docker.io/v1/`. */
function registryHost(text = "docker.io"): string {
  const host = text.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
  if (["docker.io", "index.docker.io", "registry-1.docker.io"].includes(host)) return "docker.io";
  if (/^(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?$/.test(host)) return host;
  throw usageError(
    `read the registry ${JSON.stringify(text)}`,
    "give its host and port alone, such as ghcr.io or localhost:5000",
  );
}

async function withReason<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainSystemError(error);
  }
}
