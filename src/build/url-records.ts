import { join } from "node:path";
import { digestHex, digestOf, isDigest, type Digest } from "../core/index.ts";
import { asObject, readJsonFile, writeJsonFile, type Store } from "../store/index.ts";

/** A version of the file behind a URL: its bytes are a blob of the store. */
export interface UrlVersion {
  readonly digest: Digest;
  readonly size: number;
  readonly etag?: string;
  /** Milliseconds since the epoch. */
  readonly lastModified?: number;
}

/** As many versions as a server is told of in one request. */
const kept = 8;

/**
 * What is remembered of a URL, newest first: so that the next build can ask whether one of them still is the file there
 * instead of reading it again. Only versions whose bytes are here.
 */
export async function readUrlVersions(store: Store, url: string): Promise<readonly UrlVersion[]> {
  const versions = (await readJsonFile(recordPath(store, url), parseVersions)) ?? [];
  const isHere = await Promise.all(versions.map(({ digest }) => store.blobs.has(digest)));
  return versions.filter((_, index) => isHere[index]);
}

/** Puts `version` in front. Of two processes that write at once one wins; what is lost is downloaded again. */
export async function writeUrlVersion(
  store: Store,
  url: string,
  version: UrlVersion,
): Promise<void> {
  const others = (await readUrlVersions(store, url)).filter(
    ({ digest, etag }) => digest !== version.digest || etag !== version.etag,
  );
  const value = { versions: [version, ...others].slice(0, kept) };
  await writeJsonFile({ path: recordPath(store, url), tmpDir: store.tmpDir, value });
}

function recordPath(store: Store, url: string): string {
  return join(store.root, "cache", "http", digestHex(digestOf(url)));
}

function parseVersions(value: unknown): UrlVersion[] | undefined {
  const { versions } = asObject(value) ?? {};
  if (!Array.isArray(versions)) return undefined;
  return versions.flatMap((version) => parseVersion(version) ?? []);
}

function parseVersion(value: unknown): UrlVersion | undefined {
  const { digest, size, etag, lastModified } = asObject(value) ?? {};
  if (typeof digest !== "string" || !isDigest(digest) || typeof size !== "number") return undefined;
  return {
    digest,
    size,
    ...(typeof etag === "string" ? { etag } : {}),
    ...(typeof lastModified === "number" ? { lastModified } : {}),
  };
}
