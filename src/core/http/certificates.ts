import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { SecureContext } from "node:tls";
import { readSmallFile } from "../read-small-file.ts";
import type { ProxyEnvironment } from "./proxy.ts";

/** What one host needs beside what all others do. The same object means the same connections. */
export interface TlsMaterial {
  /** Authorities that are trusted beside the system's; PEM texts. */
  readonly authorities: readonly string[];
  /** Who we are, for servers that ask for a certificate; PEM texts, tried in order. */
  readonly identities: readonly { readonly certificate: string; readonly key: string }[];
}

/** Where Linux distributions keep the bundle of certificate authorities that their administrators trust. */
const systemBundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * Certificate authorities for all connections: Node's own, plus SSL_CERT_FILE or else the system's bundle, plus
 * SSL_CERT_DIR, plus NODE_EXTRA_CA_CERTS (which Node itself drops as soon as any list is given). Made once, since
 * parsing hundreds of certificates for every connection would be slow.
 */
export async function loadAuthorities(
  env: ProxyEnvironment,
  own: TlsMaterial = { authorities: [], identities: [] },
): Promise<SecureContext> {
  const { createSecureContext, rootCertificates } = await import("node:tls");
  const found = [...rootCertificates, ...(await readBundles(env)), ...own.authorities];
  return createSecureContext({ ca: found, ...identityOf(own) });
}

/** The client certificates in the form that Node's TLS takes. */
export function identityOf({ identities }: TlsMaterial): {
  readonly cert?: string[];
  readonly key?: string[];
} {
  if (identities.length === 0) return {};
  return {
    cert: identities.map(({ certificate }) => certificate),
    key: identities.map(({ key }) => key),
  };
}

async function readBundles(env: ProxyEnvironment): Promise<readonly string[]> {
  const own = env["SSL_CERT_FILE"];
  const bundles = own === undefined || own === "" ? firstOf(systemBundles) : [readText(own)];
  for (const folder of (env["SSL_CERT_DIR"] ?? "").split(":")) {
    if (folder !== "") bundles.push(...(await readFolder(folder)));
  }
  const extra = env["NODE_EXTRA_CA_CERTS"];
  // Node only warns when this file is missing, and so the program runs.
  if (extra !== undefined && extra !== "") bundles.push(...firstOf([extra]));
  return bundles;
}

/** Folders of certificates hold other things as well: a file that cannot be read is passed by. */
function firstOf(paths: readonly string[]): string[] {
  for (const path of paths) {
    try {
      return [readText(path)];
    } catch {
      continue;
    }
  }
  return [];
}

function readText(path: string): string {
  return readSmallFile(path, { limit: 16 * 1024 * 1024 }).toString("utf8");
}

async function readFolder(folder: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    // Folders made by c_rehash also hold links with hashed names, and other files.
    if (!/\.(pem|crt|0)$/.test(name)) continue;
    const [text = ""] = firstOf([join(folder, name)]);
    if (text.includes("-----BEGIN CERTIFICATE-----")) texts.push(text);
  }
  return texts;
}
