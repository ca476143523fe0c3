import { homedir } from "node:os";
import { join } from "node:path";
import { errnoOf, readSmallFile, whyUnreadable } from "../core/index.ts";
import { registryError } from "./errors.ts";

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type JsonObject = Readonly<Record<string, unknown>>;

/** A file of credentials as Docker and Podman keep them. */
export interface AuthFile {
  readonly path: string;
  readonly text: string;
  readonly document: JsonObject;
}

/** Docker's file, where it is looked for and written. */
export function dockerAuthFile(env: Environment): string {
  return join(env["DOCKER_CONFIG"] || join(homeOf(env), ".docker"), "config.json");
}

/** Every file that may hold credentials, in the order in which they are asked. */
export function authFilePaths(env: Environment): readonly string[] {
  const runtime = env["XDG_RUNTIME_DIR"];
  const own = env["REGISTRY_AUTH_FILE"];
  return [
    dockerAuthFile(env),
    ...(own ? [own] : []),
    ...(runtime ? [join(runtime, "containers/auth.json")] : []),
    join(env["XDG_CONFIG_HOME"] || join(homeOf(env), ".config"), "containers/auth.json"),
    legacyAuthFile(env),
  ];
}

/** The file of Docker before 1.7: what `auths` holds elsewhere is the whole document here. */
function legacyAuthFile(env: Environment): string {
  return join(homeOf(env), ".dockercfg");
}

function homeOf(env: Environment): string {
  return env["HOME"] || homedir();
}

/**
 * Reads a file of credentials; undefined when there is none.
 * @throws REGISTRY_CREDENTIALS_INVALID when it cannot be read or understood
 */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  const text = readIfThere(path);
  // Podman leaves an empty file behind when the last login is gone.
  if (text === undefined || text.trim() === "") return undefined;
  const document = parseAuthDocument(path, text);
  if (!path.endsWith("/.dockercfg")) return { path, text, document };
  return { path, text, document: { auths: document } };
}

function readIfThere(path: string): string | undefined {
  try {
    return readSmallFile(path, { limit: maxAuthFile }).toString("utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    const reason = whyUnreadable(error);
    throw registryError(
      "REGISTRY_CREDENTIALS_INVALID",
      `read credentials file ${path}: ${reason}`,
      {
        hint: "make the file readable, or point DOCKER_CONFIG elsewhere",
        details: { path, reason: errnoOf(error) },
        cause: error,
      },
    );
  }
}

/** Bytes. */
const maxAuthFile = 16 * 1024 * 1024;

/** @throws REGISTRY_CREDENTIALS_INVALID */
export function parseAuthDocument(path: string, text: string): JsonObject {
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

/** The helper that a file names for a registry: the host's own, else the general one. */
export function helperFor(file: JsonObject, domain: string): string | undefined {
  const helpers = isObject(file["credHelpers"]) ? file["credHelpers"] : {};
  const own = serverKeys(domain)
    .map((key) => helpers[key])
    .find((value) => value !== undefined);
  const helper = own ?? file["credsStore"];
  return typeof helper === "string" && helper !== "" ? helper : undefined;
}

/** The names under which a registry's credentials are kept, the usual one first; Docker Hub's is a URL of its first API. */
export function serverKeys(domain: string): readonly [string, ...string[]] {
  return domain === "docker.io"
    ? ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"]
    : [domain];
}

/** What a file says of a registry or of one of its repositories: the most specific key wins. */
export function findAuthEntry(
  { auths }: JsonObject,
  { domain, path }: { readonly domain: string; readonly path: string },
): { readonly key: string; readonly value: JsonObject } | undefined {
  const segments = path.split("/");
  // Most specific first: host/team/app, host/team, host.
  const scoped = segments.map(
    (_, index) => `${domain}/${segments.slice(0, segments.length - index).join("/")}`,
  );
  const wanted = [...scoped, ...serverKeys(domain).map(bareKey)];
  const entries = Object.entries(isObject(auths) ? auths : {});
  for (const name of wanted) {
    for (const [key, value] of entries) {
      const isSame = key === name || (!name.includes("/") && bareKey(key) === name);
      if (isSame && isObject(value)) return { key, value };
    }
  }
  return undefined;
}

/** The keys of `auths` that stand for a registry as a whole. */
export function authKeysOf({ auths }: JsonObject, domain: string): readonly string[] {
  return Object.keys(isObject(auths) ? auths : {}).filter((key) => isServerOf(domain, key));
}

/** Whether a key or a server's name means a registry as a whole, however it is spelled. */
export function isServerOf(domain: string, key: string): boolean {
  return serverKeys(domain).map(bareKey).includes(bareKey(key));
}

/** `https://host:1/v1/` → `host:1`. Keys with a path that is no API version are for that path only. */
function bareKey(key: string): string {
  const withoutScheme = key.replace(/^https?:\/\//, "");
  if (withoutScheme === key && key.includes("/")) return key;
  return withoutScheme.replace(/\/.*$/, "");
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
