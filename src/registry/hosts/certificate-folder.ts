import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, readSmallFile, whyUnreadable, type TlsMaterial } from "../../core/index.ts";
import { configHome, isFolder, settingsError } from "./settings-file.ts";
import type { SettingsPlace } from "./types.ts";

/** The material of each folder, read once: the same object means the same connections. */
const known = new Map<string, Promise<TlsMaterial | undefined>>();

/**
 * The certificates that the administrator or the user has laid down for a registry: the first of Podman's and Docker's
 * folders that there is.
 * @throws REGISTRY_SETTINGS_INVALID when the folder cannot be read, or a client certificate lacks its other half
 */
export async function findCertificates(
  domain: string,
  place: SettingsPlace,
): Promise<TlsMaterial | undefined> {
  for (const folder of certificateFolders(place)) {
    const path = join(folder, domain);
    if (await isFolder(path)) return readCertificates(path);
  }
  return undefined;
}

function certificateFolders(place: SettingsPlace): readonly string[] {
  const { system } = place;
  const own = configHome(place);
  return [
    join(own, "containers/certs.d"),
    join(system, "containers/certs.d"),
    join(own, "docker/certs.d"),
    join(system, "docker/certs.d"),
  ];
}

/**
 * `*.crt` are authorities, `X.cert` with `X.key` a client certificate.
 * @throws REGISTRY_SETTINGS_INVALID
 */
export function readCertificates(folder: string): Promise<TlsMaterial | undefined> {
  const before = known.get(folder);
  if (before !== undefined) return before;
  const reading = readFolder(folder);
  known.set(folder, reading);
  reading.catch(() => known.delete(folder));
  return reading;
}

async function readFolder(folder: string): Promise<TlsMaterial | undefined> {
  const names = (await readNames(folder)).sort();
  const authorities: string[] = [];
  const identities: { certificate: string; key: string }[] = [];
  for (const name of names) {
    const path = join(folder, name);
    if (name.endsWith(".crt")) authorities.push(readPem(path));
    if (name.endsWith(".cert")) {
      const other = name.replace(/cert$/, "key");
      if (!names.includes(other)) {
        throw settingsError(path, `${other} is missing; authorities must be called *.crt`);
      }
      identities.push({
        certificate: readPem(path),
        key: readPem(join(folder, other)),
      });
    }
    if (name.endsWith(".key") && !names.includes(name.replace(/key$/, "cert"))) {
      const other = name.replace(/key$/, "cert");
      throw settingsError(path, `${other} is missing; authorities must be called *.crt`);
    }
  }
  if (authorities.length === 0 && identities.length === 0) return undefined;
  return { authorities, identities };
}

async function readNames(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw settingsError(folder, `it cannot be read: ${errnoOf(error) ?? "unknown reason"}`, error);
  }
}

/** @throws REGISTRY_SETTINGS_INVALID */
export function readPem(path: string): string {
  try {
    return readSmallFile(path, { limit: maxPem }).toString("utf8");
  } catch (error) {
    throw settingsError(path, whyUnreadable(error), error);
  }
}

/** Bytes; whole bundles of a system have less. */
const maxPem = 4 * 1024 * 1024;
