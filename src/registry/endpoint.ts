import { BlockList, isIP } from "node:net";
import { bareHost, displayUrl, isLoopback } from "../core/index.ts";
import { registryError } from "./errors.ts";

/** One way to reach a registry's API. */
export interface Endpoint {
  /** Scheme and host, such as `https://registry-1.docker.io`. */
  readonly origin: string;
  /** The path below which the API is, without a slash at its end; `/v2` nearly everywhere. */
  readonly api: string;
  /** Whether certificates are not checked. */
  readonly isUnverified: boolean;
}

/** The host that serves a registry's API. */
export function apiHost(domain: string): string {
  return domain === "docker.io" ? "registry-1.docker.io" : domain;
}

/**
 * The ways to try for a registry, in order. https is the only one, except that
 * - loopback is tried over plain http first (nobody else can listen in), then over https with any certificate, unless
 *   somebody laid down authorities for it;
 * - `insecure` hosts are tried over https with any certificate, then over http.
 */
export function endpointsFor(
  domain: string,
  { insecure, hasAuthorities = false }: { insecure: boolean; hasAuthorities?: boolean },
): readonly Endpoint[] {
  const host = apiHost(domain);
  const plain = { origin: `http://${host}`, api: "/v2", isUnverified: false };
  const verified = { origin: `https://${host}`, api: "/v2", isUnverified: false };
  const unverified = { ...verified, isUnverified: true };
  if (insecure) return [unverified, plain];
  if (hasAuthorities || !isLoopback(bareHost(new URL(plain.origin)))) return [verified];
  return host.endsWith(":443") ? [unverified, plain] : [plain, unverified];
}

const addressClasses: readonly (readonly [string, readonly (readonly [string, number])[]])[] = [
  [
    "loopback",
    [
      ["127.0.0.0", 8],
      ["::1", 128],
    ],
  ],
  [
    "link-local",
    [
      ["169.254.0.0", 16],
      ["fe80::", 10],
    ],
  ],
  [
    "unspecified",
    [
      ["0.0.0.0", 8],
      ["::", 128],
    ],
  ],
  [
    "private",
    [
      ["10.0.0.0", 8],
      ["172.16.0.0", 12],
      ["192.168.0.0", 16],
      ["100.64.0.0", 10],
      ["fc00::", 7],
    ],
  ],
];

/**
 * Refuses an address that a registry names (token server, redirect, upload) when it points into a network that the
 * registry itself is not in: it would have us make requests in its place.
 * @throws REGISTRY_TARGET_REFUSED
 */
export function checkTarget(target: URL, registry: URL, what: string): void {
  if (target.host === registry.host) return;
  const found = addressClass(bareHost(target));
  if (found === undefined || found === addressClass(bareHost(registry))) return;
  throw registryError(
    "REGISTRY_TARGET_REFUSED",
    `follow ${registry.host} to ${displayUrl(target)}`,
    {
      hint: `the registry names a ${found} address as its ${what}; ask whoever runs it`,
      details: { host: registry.host, target: target.host, what },
    },
  );
}

function addressClass(host: string): string | undefined {
  if (isLoopback(host)) return "loopback";
  // IPv4 in IPv6 clothes, as the URL parser writes it: ::ffff:7f00:1.
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped !== null) return addressClass(toIpv4(mapped[1] ?? "", mapped[2] ?? ""));
  if (isIP(host) === 0) return undefined;
  return addressClasses.find(([, ranges]) => ranges.some((range) => isIn(host, range)))?.[0];
}

function isIn(host: string, [network, prefix]: readonly [string, number]): boolean {
  if (isIP(network) !== isIP(host)) return false;
  const family = isIP(host) === 6 ? "ipv6" : "ipv4";
  const range = new BlockList();
  range.addSubnet(network, prefix, family);
  return range.check(host, family);
}

function toIpv4(high: string, low: string): string {
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join(".");
}
