import { BlockList, isIP } from "node:net";
import { bareHost, isLoopback } from "./host.ts";

/** The variables that say which way requests go; lower-case names win, as everywhere. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a URL by HTTP_PROXY, HTTPS_PROXY and NO_PROXY; undefined for a direct connection. This machine itself
 * is never reached through a proxy. NO_PROXY knows hosts (and everything below them), `.suffix`, `host:port`, IP
 * addresses, CIDR ranges and `*`.
 */
export function proxyFor(url: URL, env: ProxyEnvironment): string | undefined {
  const isSecure = url.protocol === "https:";
  const proxy = isSecure
    ? pick(env, "https_proxy", "HTTPS_PROXY")
    : // In CGI programs HTTP_PROXY is a request header of the client ("httpoxy").
      pick(env, "http_proxy", env["REQUEST_METHOD"] === undefined ? "HTTP_PROXY" : "http_proxy");
  if (proxy === undefined) return undefined;
  const host = bareHost(url);
  const port = url.port === "" ? (isSecure ? "443" : "80") : url.port;
  if (isLoopback(host)) return undefined;
  const exceptions = (pick(env, "no_proxy", "NO_PROXY") ?? "").split(/[,\s]+/);
  if (exceptions.some((entry) => entry !== "" && isException(entry, host, port))) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function pick(env: ProxyEnvironment, ...names: readonly string[]): string | undefined {
  return names.map((name) => env[name]).find((value) => value !== undefined && value !== "");
}

function isException(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const range = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(entry);
  if (range !== null) return isInRange(host, range[1] ?? "", Number(range[2]));
  const withPort = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry);
  if (withPort !== null && withPort[2] !== port) return false;
  const name = (withPort?.[1] ?? entry).replace(/^\[|\]$/g, "").toLowerCase();
  if (isIP(name) !== 0) return host === name;
  const suffix = name.replace(/^\*?\./, "");
  const isSuffixOnly = suffix !== name;
  return (!isSuffixOnly && host === suffix) || host.endsWith(`.${suffix}`);
}

function isInRange(host: string, network: string, prefix: number): boolean {
  const family = isIP(network) === 6 ? "ipv6" : "ipv4";
  if (isIP(network) === 0 || isIP(host) !== isIP(network)) return false;
  if (prefix > (family === "ipv6" ? 128 : 32)) return false;
  const range = new BlockList();
  range.addSubnet(network, prefix, family);
  return range.check(host, family);
}
