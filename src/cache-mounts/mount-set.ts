import { digestOf, isDigest, mediaTypes, type Digest } from "../core/index.ts";
import {
  parseManifest,
  readContent,
  serializeManifest,
  maxManifestSize,
  type ContentSource,
  type Descriptor,
  type Manifest,
} from "../image/index.ts";
import { archiveLimits } from "../layer/index.ts";
import { parseCacheMountKey } from "../store/index.ts";
import { chunkSizes } from "./cutter.ts";
import { cacheMountError, invalidMounts } from "./errors.ts";
import type { ChunkPlace, MountRecord, MountSet } from "./types.ts";

/*
 * A set of mounts is an OCI artifact: a manifest whose layers are packs, and whose config is this document:
 *
 *   { "version": 1,
 *     "chunks": [[hex of the content, size, number of the pack, offset in it, stored size], …],
 *     "mounts": [{ "key", "files", "size", "usedOn", "catalogue": [numbers of chunks], "contents": […] }, …] }
 *
 * Equal sets have equal bytes: nothing says when or where they were made.
 */

/** Of the manifest. */
export const mountsArtifactType = "application/vnd.tsbuild.cache-mounts.v1";
const documentType = "application/vnd.tsbuild.cache-mounts.v1+json";
export const packType = "application/vnd.tsbuild.cache-mounts.pack.v1";

/** Ninety bytes a chunk: of a cache of 100 GB. */
const maxDocumentSize = 64 * 1024 * 1024;

export interface MountDocuments {
  readonly manifest: Descriptor;
  readonly manifestBytes: Buffer;
  readonly document: Descriptor;
  readonly documentBytes: Buffer;
}

/** The documents of a set. Chunks and packs that no mount needs are left out. */
export function writeMountSet(set: MountSet): MountDocuments {
  const mounts = [...set.mounts].sort((a, b) => (a.key < b.key ? -1 : 1));
  const chunks = new Map<Digest, number>();
  const packs = new Map<Digest, number>();
  const places: ChunkPlace[] = [];
  const number = (digest: Digest): number => {
    const known = chunks.get(digest);
    if (known !== undefined) return known;
    const place = set.chunks.get(digest);
    if (place === undefined) throw new Error(`chunk ${digest} is nowhere`);
    if (!packs.has(place.pack)) packs.set(place.pack, packs.size);
    chunks.set(digest, chunks.size);
    return places.push(place) - 1;
  };
  const records = mounts.map(({ key, files, size, usedOn, catalogue, contents }) => ({
    ...{ key, files, size, usedOn },
    catalogue: catalogue.map(number),
    contents: contents.map(number),
  }));
  const rows = [...chunks.keys()].map((digest, index) => {
    const place = places[index];
    if (place === undefined) throw new Error(`chunk ${digest} is nowhere`);
    const { pack, offset, stored, size } = place;
    return [digest.slice("sha256:".length), size, packs.get(pack), offset, stored];
  });
  const documentBytes = Buffer.from(JSON.stringify({ version: 1, chunks: rows, mounts: records }));
  const document = describe(documentType, documentBytes);
  const manifestBytes = serializeManifest({
    mediaType: mediaTypes.ociManifest,
    artifactType: mountsArtifactType,
    config: document,
    layers: [...packs.keys()].map((digest) => packOf(set, digest)),
  });
  const manifest = describe(mediaTypes.ociManifest, manifestBytes);
  return { manifest, manifestBytes, document, documentBytes };
}

function describe(mediaType: string, bytes: Buffer): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function packOf({ packs }: MountSet, digest: Digest): Descriptor {
  const found = packs.get(digest);
  if (found === undefined) throw new Error(`pack ${digest} is nowhere`);
  return found;
}

/**
 * Reads what stands for `root` in a place.
 * @throws CACHE_MOUNTS_NOT_FOUND for something else, such as an image; CACHE_MOUNTS_INVALID; mismatch codes, and what the
 * source throws
 */
export async function readMountSet(request: {
  readonly source: ContentSource;
  readonly root: Descriptor;
  readonly signal?: AbortSignal | undefined;
}): Promise<MountSet> {
  const { source, root: descriptor, signal } = request;
  const bytes = await readContent({ source, descriptor, limit: maxManifestSize, signal });
  const manifest = readManifest(bytes, descriptor, source);
  const document = await readContent({
    ...{ source, descriptor: manifest.config, limit: maxDocumentSize, signal },
  });
  return parseMountSet(document, manifest.layers);
}

function readManifest(bytes: Buffer, { mediaType }: Descriptor, source: ContentSource): Manifest {
  const isOurs = (found: Manifest): boolean =>
    found.artifactType === mountsArtifactType && found.config.mediaType === documentType;
  const manifest =
    mediaType === mediaTypes.ociManifest ? parseManifest(bytes, mediaType) : undefined;
  if (manifest !== undefined && isOurs(manifest)) return manifest;
  throw cacheMountError(
    "CACHE_MOUNTS_NOT_FOUND",
    `read cache mounts of ${source.label}: it is something else`,
    {
      hint: "give the caches a name of their own there",
      details: {
        mediaType,
        ...(manifest?.artifactType === undefined ? {} : { artifactType: manifest.artifactType }),
      },
    },
  );
}

/** @throws CACHE_MOUNTS_INVALID unless every number in it makes sense */
export function parseMountSet(bytes: Buffer, layers: readonly Descriptor[]): MountSet {
  const document = readObject(parseText(bytes), "the document");
  if (document["version"] !== 1) throw invalidMounts("the document is of another version");
  const rows = readList(document["chunks"], "chunks").map((row) => readChunk(row, layers));
  const chunks = new Map(rows);
  const digests = rows.map(([digest]) => digest);
  const mounts = readList(document["mounts"], "mounts").map((mount) =>
    readMount(readObject(mount, "a mount"), { digests, chunks }),
  );
  if (new Set(mounts.map(({ key }) => key)).size < mounts.length) {
    throw invalidMounts("one mount is there twice");
  }
  const total = mounts.reduce((sum, { size }) => sum + size, 0);
  if (total > archiveLimits().bytes) {
    throw invalidMounts("they are larger than TSBUILD_MAX_UNPACKED_SIZE allows");
  }
  return { mounts, chunks, packs: new Map(layers.map((layer) => [layer.digest, layer])) };
}

function parseText(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw invalidMounts("the document is no JSON", error);
  }
}

function readChunk(row: unknown, layers: readonly Descriptor[]): readonly [Digest, ChunkPlace] {
  const [hex, size, pack, offset, stored] = readList(row, "a chunk");
  const layer = layers[readNumber(pack, layers.length - 1)];
  const digest = `sha256:${String(hex)}`;
  if (layer === undefined || !isDigest(digest))
    throw invalidMounts("a chunk has no name or no pack");
  const bytes = readNumber(size, chunkSizes.most);
  const kept = readNumber(stored, bytes);
  const at = readNumber(offset, layer.size - kept);
  return [digest, { pack: layer.digest, offset: at, stored: kept, size: bytes }];
}

function readMount(
  mount: Readonly<Record<string, unknown>>,
  known: { readonly digests: readonly Digest[]; readonly chunks: ReadonlyMap<Digest, ChunkPlace> },
): MountRecord {
  const key = mount["key"];
  const name = typeof key === "string" ? parseCacheMountKey(key) : undefined;
  if (typeof key !== "string" || name === undefined) throw invalidMounts("a mount has no key");
  const readChunks = (field: "catalogue" | "contents"): readonly Digest[] =>
    readList(mount[field], field).map((number) => {
      const digest = known.digests[readNumber(number, known.digests.length - 1)];
      if (digest === undefined) throw invalidMounts("a mount names a chunk that is not there");
      return digest;
    });
  const contents = readChunks("contents");
  // What the mount says of itself is no promise: one chunk named a million times fills a disk.
  const size = contents.reduce((sum, digest) => sum + (known.chunks.get(digest)?.size ?? 0), 0);
  return {
    ...{ key, name, size, contents },
    files: readNumber(mount["files"], Number.MAX_SAFE_INTEGER),
    usedOn: readNumber(mount["usedOn"], Number.MAX_SAFE_INTEGER),
    catalogue: readChunks("catalogue"),
  };
}

function readNumber(value: unknown, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) {
    return value;
  }
  throw invalidMounts("a number in the document is out of its range");
}

function readList(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw invalidMounts(`${what} is no list`);
}

function readObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw invalidMounts(`${what} is no object`);
}
