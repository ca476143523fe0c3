import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { errnoOf } from "../core/index.ts";
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

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Looks where Docker and Podman look: DOCKER_AUTH_CONFIG (the document itself), then the files of DOCKER_CONFIG or
 * ~/.docker, REGISTRY_AUTH_FILE, and containers/auth.json. Inside a file a helper of the host wins over the general
 * helper, and both over written credentials; the most specific key wins.
 * @throws REGISTRY_CREDENTIALS_INVALID for a file that cannot be read or understood, or a helper that fails
 */
export function findStoredCredentials(env: Environment = process.env): CredentialSource {
  return async (query, signal) => {
    const inline = env["DOCKER_AUTH_CONFIG"];
    const documents: { readonly path: string; readonly text: string | undefined }[] = [];
    if (inline) documents.push({ path: "DOCKER_AUTH_CONFIG", text: inline });
    for (const path of authFiles(env)) documents.push({ path, text: await readIfThere(path) });
    for (const { path, text } of documents) {
      if (text === undefined) continue;
      const found = await findIn(parseAuthFile(path, text), { query, path, env, signal });
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

function authFiles(env: Environment): readonly string[] {
  const home = env["HOME"] ?? homedir();
  const runtime = env["XDG_RUNTIME_DIR"];
  const own = env["REGISTRY_AUTH_FILE"];
  return [
    join(env["DOCKER_CONFIG"] || join(home, ".docker"), "config.json"),
    ...(own ? [own] : []),
    ...(runtime ? [join(runtime, "containers/auth.json")] : []),
    join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "containers/auth.json"),
  ];
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw registryError("REGISTRY_CREDENTIALS_INVALID", `read credentials file ${path}`, {
      hint: "make the file readable, or point DOCKER_CONFIG elsewhere",
      details: { path, reason: errnoOf(error) },
      cause: error,
    });
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseAuthFile(path: string, text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // V8 quotes the text around the mistake, which may be a password: no cause here.
  }
  throw registryError(
    "REGISTRY_CREDENTIALS_INVALID",
    `read credentials file ${path}: it is no JSON object`,
    {
      hint: "mend or remove it, then log in again",
      details: { path },
    },
  );
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
    const server = serverKeys(query.domain)[0] ?? query.domain;
    const credentials = await askCredentialHelper({ helper, server, env, signal });
    if (credentials !== undefined) {
      return { credentials, origin: `docker-credential-${helper} (named in ${path})` };
    }
  }
  const auths = isObject(file["auths"]) ? file["auths"] : {};
  const entry = findEntry(auths, query);
  const credentials = entry === undefined ? undefined : readEntry(entry.value, entry.key, path);
  return credentials === undefined ? undefined : { credentials, origin: path };
}

function helperFor(file: JsonObject, domain: string): string | undefined {
  const helpers = isObject(file["credHelpers"]) ? file["credHelpers"] : {};
  const own = serverKeys(domain)
    .map((key) => helpers[key])
    .find((value) => value !== undefined);
  const helper = own ?? file["credsStore"];
  return typeof helper === "string" && helper !== "" ? helper : undefined;
}

/** The names under which a registry's credentials are kept; Docker Hub's is a URL of its first API. */
function serverKeys(domain: string): readonly string[] {
  return domain === "docker.io"
    ? ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"]
    : [domain];
}

function findEntry(
  auths: JsonObject,
  { domain, path }: CredentialQuery,
): { readonly key: string; readonly value: JsonObject } | undefined {
  const segments = path.split("/");
  // Most specific first: host/team/app, host/team, host.
  const scoped = segments.map(
    (_, index) => `${domain}/${segments.slice(0, segments.length - index).join("/")}`,
  );
  const wanted = [...scoped, ...serverKeys(domain).map(bareKey)];
  const entries = Object.entries(auths);
  for (const name of wanted) {
    for (const [key, value] of entries) {
      const isSame = key === name || (!name.includes("/") && bareKey(key) === name);
      if (isSame && isObject(value)) return { key, value };
    }
  }
  return undefined;
}

/** `https://host:1/v1/` → `host:1`. Keys with a path that is no API version are for that path only. */
function bareKey(key: string): string {
  const withoutScheme = key.replace(/^https?:\/\//, "");
  if (withoutScheme === key && key.includes("/")) return key;
  return withoutScheme.replace(/\/.*$/, "");
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

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
