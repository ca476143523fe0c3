import type { GitCredentials } from "./types.ts";
import type { SubmoduleRemote } from "./submodules.ts";

/**
 * Settings that make git say who we are to one http or https remote: the user and password of its URL, else the secrets
 * GIT_AUTH_HEADER and GIT_AUTH_TOKEN, those with `.host` behind their names first. They hold for this remote's server
 * alone; secrets without a host only when `isMain`, so that no submodule elsewhere gets them.
 */
export async function authorizationFor(
  { remote, credentials: pair }: SubmoduleRemote,
  options: { readonly credentials: GitCredentials; readonly isMain: boolean },
): Promise<readonly (readonly [string, string])[]> {
  if (!/^https?:/.test(remote) || !URL.canParse(remote)) return [];
  const { origin, host } = new URL(remote);
  const header = pair === undefined ? await secretHeader(host, options) : basic(pair);
  if (header === undefined) return [];
  return [[`http.${origin}/.extraHeader`, `Authorization: ${header}`]];
}

async function secretHeader(
  host: string,
  options: { readonly credentials: GitCredentials; readonly isMain: boolean },
): Promise<string | undefined> {
  const { secret } = options.credentials;
  if (secret === undefined) return undefined;
  for (const suffix of [`.${host}`, ...(options.isMain ? [""] : [])]) {
    const header = await secret(`GIT_AUTH_HEADER${suffix}`);
    if (header !== undefined) return textOf(header);
    const token = await secret(`GIT_AUTH_TOKEN${suffix}`);
    if (token !== undefined) return basic(`x-access-token:${textOf(token)}`);
  }
  return undefined;
}

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

/** Secrets often come from files that end with a line break. */
function textOf(secret: Uint8Array): string {
  return Buffer.from(secret).toString("utf8").trim();
}
