import { BlockList, isIP } from "node:net";
import { bareHost } from "../../core/index.ts";

/**
 * Whether a registry is in a list of insecure ones: `host`, `host:port` (which must be equal), `*.domain` (with any
 * port), addresses and CIDR ranges (with any port; names are not looked up).
 */
export function isInsecureHost(domain: string, list: readonly string[]): boolean {
  const host = bareHost(new URL(`http://${domain}`));
  return list.some((text) => {
    const entry = text.trim().toLowerCase();
    if (entry === "") return false;
    if (entry === domain.toLowerCase()) return true;
    if (entry.startsWith("*.")) return host.endsWith(entry.slice(1));
    const bare = entry.replace(/^\[|\]$/g, "");
    if (isIP(bare) !== 0) return host === bare;
    return isInRange(host, entry);
  });
}

function isInRange(host: string, entry: string): boolean {
  const [, network = "", bits = ""] = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry) ?? [];
  const version = isIP(network);
  if (version === 0 || isIP(host) !== version) return false;
  if (Number(bits) > (version === 6 ? 128 : 32)) return false;
  const family = version === 6 ? "ipv6" : "ipv4";
  const range = new BlockList();
  range.addSubnet(network, Number(bits), family);
  return range.check(host, family);
}
