import { createHash } from "node:crypto";
import { digestOf, mediaTypes, type Digest } from "../core/index.ts";
import {
  checkImage,
  maxConfigSize,
  parseImageConfig,
  serializeManifest,
  type Descriptor,
  type Manifest,
} from "../image/index.ts";
import { detectCompression, detectionLength } from "../layer/index.ts";
import type { ArchiveFiles } from "./archive-files.ts";
import { archiveError } from "./errors.ts";
import { normalize } from "./names.ts";
import type { ArchivedImage } from "./types.ts";

/** Where the content of a docker-archive lies: in files, or in documents that are made here. */
export interface DockerArchiveContent {
  readonly images: readonly ArchivedImage[];
  readonly files: ReadonlyMap<Digest, string>;
  readonly documents: ReadonlyMap<Digest, Buffer>;
}

/** One entry of `manifest.json`. */
export interface DockerManifestEntry {
  readonly config: string;
  readonly repoTags: readonly string[];
  readonly layers: readonly string[];
}

const maxManifestFile = 20 * 1024 * 1024;

/**
 * Reads `manifest.json`, the table of contents of `docker save`.
 * @throws ARCHIVE_INVALID
 */
export async function readDockerManifest(
  files: ArchiveFiles,
): Promise<readonly DockerManifestEntry[]> {
  const bytes = await files.read("manifest.json", maxManifestFile);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw invalid(files, "manifest.json is not JSON", cause);
  }
  if (!Array.isArray(value)) throw invalid(files, "manifest.json is no list");
  return value.map((entry: unknown) => parseEntry(entry, files));
}

/**
 * Makes manifests for the images of a docker-archive, which has none: OCI ones over the layers as they lie there.
 * Plain layers are not read for that, because their digest is their diffId; `copyGraph` verifies it.
 * @throws ARCHIVE_INVALID, ARCHIVE_BLOB_NOT_FOUND, IMAGE_INVALID
 */
export async function readDockerArchive(files: ArchiveFiles): Promise<DockerArchiveContent> {
  const images: ArchivedImage[] = [];
  const paths = new Map<Digest, string>();
  const documents = new Map<Digest, Buffer>();
  const layersByPath = new Map<string, Descriptor>();
  for (const entry of await readDockerManifest(files)) {
    const configBytes = await files.read(entry.config, maxConfigSize);
    const config = parseImageConfig(configBytes);
    const layers: Descriptor[] = [];
    for (const [index, path] of entry.layers.entries()) {
      const diffId = config.diffIds[index];
      if (diffId === undefined) break;
      const layer = layersByPath.get(path) ?? (await describeLayer(files, path, diffId));
      layersByPath.set(path, layer);
      layers.push(layer);
      paths.set(layer.digest, path);
    }
    const manifest: Manifest = {
      mediaType: mediaTypes.ociManifest,
      config: describe(mediaTypes.ociConfig, configBytes),
      layers,
    };
    checkImage(
      { ...manifest, layers: entry.layers.map((_, at) => layers[at] ?? manifest.config) },
      config,
    );
    const bytes = serializeManifest(manifest);
    documents.set(manifest.config.digest, configBytes).set(digestOf(bytes), bytes);
    const names = entry.repoTags.flatMap((tag) => normalize(tag) ?? []);
    const { os, architecture, variant } = config;
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    images.push({
      descriptor: { ...describe(manifest.mediaType, bytes), platform },
      names,
      refs: [],
    });
  }
  return { images, files: paths, documents };
}

async function describeLayer(
  files: ArchiveFiles,
  path: string,
  diffId: Digest,
): Promise<Descriptor> {
  const size = await files.size(path);
  if (size === undefined) {
    throw archiveError(
      "ARCHIVE_BLOB_NOT_FOUND",
      `read ${path} from ${files.label}: it is not there`,
      {
        details: { name: path, path: files.label },
      },
    );
  }
  const compression = await compressionOf(files, path);
  if (compression === "none") return { mediaType: mediaTypes.ociLayer, digest: diffId, size };
  const mediaType = compression === "gzip" ? mediaTypes.ociLayerGzip : mediaTypes.ociLayerZstd;
  return { mediaType, digest: await digestOfFile(files, path), size };
}

async function compressionOf(files: ArchiveFiles, path: string): Promise<"none" | "gzip" | "zstd"> {
  const start: Buffer[] = [];
  let size = 0;
  for await (const chunk of await files.open(path)) {
    start.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size >= detectionLength) break;
  }
  const compression = detectCompression(Buffer.concat(start));
  if (compression === "bzip2" || compression === "xz") {
    throw archiveError(
      "ARCHIVE_INVALID",
      `read ${path} from ${files.label}: a ${compression} layer`,
      {
        hint: "layers may be plain, gzip or zstd",
        details: { name: path, path: files.label },
      },
    );
  }
  return compression;
}

async function digestOfFile(files: ArchiveFiles, path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of await files.open(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}` as Digest;
}

function describe(mediaType: string, bytes: Buffer): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function parseEntry(value: unknown, files: ArchiveFiles): DockerManifestEntry {
  if (typeof value !== "object" || value === null) {
    throw invalid(files, "manifest.json has an entry that is no object");
  }
  const {
    Config: config,
    RepoTags: repoTags,
    Layers: layers,
  } = value as { Config?: unknown; RepoTags?: unknown; Layers?: unknown };
  if (typeof config !== "string") throw invalid(files, "manifest.json has an entry without Config");
  return { config, repoTags: texts(repoTags, files), layers: texts(layers, files) };
}

function texts(value: unknown, files: ArchiveFiles): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw invalid(files, "manifest.json has a list that is none of texts");
}

function invalid(files: ArchiveFiles, reason: string, cause?: unknown): Error {
  return archiveError("ARCHIVE_INVALID", `read archive ${files.label}: ${reason}`, {
    details: { path: files.label },
    cause,
  });
}
