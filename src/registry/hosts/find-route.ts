import { apiHost, endpointsFor } from "../endpoint.ts";
import { findCertificates } from "./certificate-folder.ts";
import { readDaemonSettings, type DaemonSettings } from "./daemon-json.ts";
import { findHostsFolder, type DescribedHost } from "./hosts-toml.ts";
import { isInsecureHost } from "./insecure-hosts.ts";
import { findConfiguredRoute, type ConfiguredPlace } from "./registries-conf.ts";
import type { RegistryHost, RegistryRoute, SettingsPlace } from "./types.ts";

/** Which repository is meant, and what its user says of the registry. */
export interface RouteQuery {
  readonly domain: string;
  readonly path: string;
  /** Any certificate will do, and plain http. */
  readonly insecure: boolean;
  readonly place: SettingsPlace;
}

/**
 * Finds where a repository is read and written: its registry, or what registries.conf and hosts.toml put in its place,
 * and the mirrors that these and dockerd's daemon.json name, in this order.
 * @throws REGISTRY_SETTINGS_INVALID, REGISTRY_BLOCKED
 */
export async function findRoute(query: RouteQuery): Promise<RegistryRoute> {
  const { domain, path, place } = query;
  const configured = await findConfiguredRoute(`${domain}/${path}`, place);
  const daemon = readDaemonSettings(place);
  const finder = new HostFinder(query, daemon);
  const folder = await findHostsFolder(domain, place);
  const described = [...(folder?.mirrors ?? []), ...hubMirrors(domain, daemon)];
  const mirrors: RegistryHost[] = [];
  for (const host of described) mirrors.push(await finder.fromUrl(host));
  for (const mirror of configured?.mirrors ?? []) mirrors.push(await finder.fromName(mirror));
  const primary = await finder.fromName(
    configured?.primary ?? { name: `${domain}/${path}`, isInsecure: false, serves: "all" },
    query.insecure,
  );
  const server = folder?.server;
  if (server === undefined) {
    return { mirrors, primary: { ...primary, tls: primary.tls ?? folder?.tls } };
  }
  const replaced = await finder.fromUrl(server);
  const isSame = server.url.host === apiHost(domain);
  // Another host is not told whom else it stands for, and gets its own credentials.
  return {
    mirrors,
    primary: {
      ...replaced,
      domain: isSame ? domain : replaced.domain,
      namespace: undefined,
      tls: replaced.tls ?? primary.tls,
    },
  };
}

function hubMirrors(domain: string, { mirrors }: DaemonSettings): readonly DescribedHost[] {
  if (domain !== "docker.io") return [];
  return mirrors
    .filter((text) => URL.canParse(text))
    .map((text) => {
      const url = new URL(text);
      url.pathname = `${url.pathname.replace(/\/+$/, "")}/v2`;
      return { url, serves: "all", isUnverified: false, tls: undefined, headers: {} };
    });
}

class HostFinder {
  readonly #query: RouteQuery;
  readonly #insecure: readonly string[];

  constructor(query: RouteQuery, daemon: DaemonSettings) {
    this.#query = query;
    const own = (query.place.env["TSBUILD_INSECURE_REGISTRIES"] ?? "").split(",");
    this.#insecure = [...own, ...daemon.insecure];
  }

  /** A host that is known by name only: what its scheme is must be tried. */
  async fromName(
    { name, isInsecure, serves }: ConfiguredPlace,
    insecure = false,
  ): Promise<RegistryHost> {
    const slash = name.indexOf("/");
    const domain = slash < 0 ? name : name.slice(0, slash);
    const tls = await findCertificates(domain, this.#query.place);
    return {
      domain,
      path: slash < 0 ? "" : name.slice(slash + 1),
      endpoints: endpointsFor(domain, {
        insecure: insecure || isInsecure || isInsecureHost(domain, this.#insecure),
        hasAuthorities: tls !== undefined && tls.authorities.length > 0,
      }),
      tls,
      headers: {},
      namespace: undefined,
      serves,
    };
  }

  /** A host that is known by its URL. */
  async fromUrl(host: DescribedHost): Promise<RegistryHost> {
    const { url, isUnverified, tls, headers, serves } = host;
    const { domain, path, place } = this.#query;
    const isInsecure = isUnverified || isInsecureHost(url.host, this.#insecure);
    return {
      domain: url.host,
      path,
      endpoints: [
        { origin: url.origin, api: url.pathname.replace(/\/+$/, ""), isUnverified: isInsecure },
      ],
      tls: tls ?? (await findCertificates(url.host, place)),
      headers,
      namespace: domain,
      serves,
    };
  }
}
