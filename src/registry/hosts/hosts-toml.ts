import { isAbsolute, join } from "node:path";
import type { TlsMaterial } from "../../core/index.ts";
import { readCertificates, readPem } from "./certificate-folder.ts";
import {
  configHome,
  Fields,
  isFolder,
  isTable,
  parseToml,
  readSettings,
  settingsError,
} from "./settings-file.ts";
import type { Serving, SettingsPlace } from "./types.ts";

/** A host as containerd's hosts.toml describes it. */
export interface DescribedHost {
  /** Where the API is: scheme, host, and the path up to and with `/v2`, without a slash at its end. */
  readonly url: URL;
  readonly serves: Serving;
  readonly isUnverified: boolean;
  readonly tls: TlsMaterial | undefined;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What containerd's folder for a registry says. */
export interface HostsFolder {
  /** The registry itself, where the file says so. */
  readonly server: DescribedHost | undefined;
  readonly mirrors: readonly DescribedHost[];
  /** Certificates of a folder that has no hosts.toml. */
  readonly tls: TlsMaterial | undefined;
}

/**
 * Reads containerd's folder for a registry; undefined when there is none.
 * @throws REGISTRY_SETTINGS_INVALID
 * @see containerd, docs/hosts.md
 */
export async function findHostsFolder(
  domain: string,
  place: SettingsPlace,
): Promise<HostsFolder | undefined> {
  for (const root of [configHome(place), place.system]) {
    for (const name of folderNames(domain)) {
      const folder = join(root, "containerd/certs.d", name);
      if (await isFolder(folder)) return readHostsFolder(folder);
    }
  }
  return undefined;
}

function folderNames(domain: string): readonly string[] {
  const port = /:(\d+)$/.exec(domain)?.[1];
  if (port === undefined) return [domain, "_default"];
  return [`${domain.slice(0, -port.length - 1)}_${port}_`, domain, "_default"];
}

async function readHostsFolder(folder: string): Promise<HostsFolder> {
  const path = join(folder, "hosts.toml");
  const text = readSettings(path);
  if (text === undefined) {
    return { server: undefined, mirrors: [], tls: await readCertificates(folder) };
  }
  const file = new Fields(path, await parseToml(path, text), "the file");
  const server = file.string("server");
  const mirrors: DescribedHost[] = [];
  for (const [url, table] of Object.entries(file.table("host"))) {
    if (!isTable(table)) return file.refuse(`host."${url}"`, "a table");
    const mirror = describeHost(url, new Fields(path, table, `host."${url}"`), folder);
    if (mirror !== undefined) mirrors.push(mirror);
  }
  return {
    server: server === "" ? undefined : describeHost(server, file, folder),
    mirrors,
    tls: undefined,
  };
}

function describeHost(text: string, fields: Fields, folder: string): DescribedHost | undefined {
  const capabilities = fields.strings("capabilities");
  const serves = servingOf(capabilities);
  if (serves === undefined) return undefined;
  return {
    url: readUrl(text, fields),
    serves,
    isUnverified: fields.boolean("skip_verify"),
    tls: readTls(fields, folder),
    headers: readHeaders(fields),
  };
}

/** Undefined for hosts from which nothing is read. Referrers are read where content is. */
function servingOf(capabilities: readonly string[]): Serving | undefined {
  if (capabilities.length === 0) return "all";
  const pulls = capabilities.includes("pull");
  const resolves = capabilities.includes("resolve");
  if (pulls) return resolves ? "all" : "digests";
  return resolves ? "tags" : undefined;
}

function readUrl(text: string, fields: Fields): URL {
  const withScheme = text.includes("://") ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw settingsError(fields.path, `${JSON.stringify(text)} is no http or https URL`);
  }
  const path = url.pathname.replace(/\/+$/, "");
  // Without override_path the path leads to the place below which /v2 is.
  url.pathname = fields.boolean("override_path") || path.endsWith("/v2") ? path : `${path}/v2`;
  return url;
}

function readTls(fields: Fields, folder: string): TlsMaterial | undefined {
  const at = (path: string): string => (isAbsolute(path) ? path : join(folder, path));
  const authorities = fields.strings("ca").map((path) => readPem(at(path)));
  const identities = clientPairs(fields).map(([certificate, key]) => ({
    certificate: readPem(at(certificate)),
    key: readPem(at(key)),
  }));
  if (authorities.length === 0 && identities.length === 0) return undefined;
  return { authorities, identities };
}

/** One file with both halves, a list of such, or a list of pairs. */
function clientPairs(fields: Fields): readonly (readonly [string, string])[] {
  const value = fields.value("client") ?? [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((item) => {
    const pair: readonly unknown[] = Array.isArray(item) ? item : [item];
    const [certificate, key = certificate] = pair;
    return typeof certificate === "string" && typeof key === "string"
      ? [certificate, key || certificate]
      : fields.refuse("client", "a path, or a list of paths or of pairs of them");
  });
}

function readHeaders(fields: Fields): Readonly<Record<string, string>> {
  const headers = Object.entries(fields.table("header")).map(([name, value]) => {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (!values.every((item) => typeof item === "string")) {
      return fields.refuse(`header ${name}`, "a string or a list of strings");
    }
    return [name.toLowerCase(), values.join(", ")] as const;
  });
  return Object.fromEntries(headers);
}
