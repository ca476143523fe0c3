import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SecureContext } from "node:tls";
import type { ProxyEnvironment } from "./proxy.ts";

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
export async function loadAuthorities(env: ProxyEnvironment): Promise<SecureContext> {
  const { createSecureContext, rootCertificates } = await import("node:tls");
  const found = [...rootCertificates, ...(await readBundles(env))];
  return createSecureContext({ ca: found });
}

async function readBundles(env: ProxyEnvironment): Promise<readonly string[]> {
  const own = env["SSL_CERT_FILE"];
  const bundles =
    own === undefined || own === "" ? await firstOf(systemBundles) : [await readFile(own, "utf8")];
  for (const folder of (env["SSL_CERT_DIR"] ?? "").split(":")) {
    if (folder !== "") bundles.push(...(await readFolder(folder)));
  }
  const extra = env["NODE_EXTRA_CA_CERTS"];
  // Node only warns when this file is missing, and so the program runs.
  if (extra !== undefined && extra !== "") bundles.push(...(await firstOf([extra])));
  return bundles;
}

async function firstOf(paths: readonly string[]): Promise<string[]> {
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) return [text];
  }
  return [];
}

async function readFolder(folder: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    // Folders made by c_rehash also hold links with hashed names, and other files.
    if (!/\.(pem|crt|0)$/.test(name)) continue;
    const text = await readFile(join(folder, name), "utf8").catch(() => "");
    if (text.includes("-----BEGIN CERTIFICATE-----")) texts.push(text);
  }
  return texts;
}
