import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import {
  diffId,
  digestOf,
  mediaTypes,
  parsePlatform,
  type Digest,
  type DiffId,
} from "../../src/core/index.ts";
import {
  serializeImageConfig,
  serializeIndex,
  serializeManifest,
  type Descriptor,
  type ImageConfig,
  type Manifest,
} from "../../src/image/index.ts";

/** A graph of content that hangs together, with all its bytes. */
export interface RandomImage {
  readonly root: Descriptor;
  readonly blobs: ReadonlyMap<Digest, Buffer>;
}

export interface RandomSingleImage extends RandomImage {
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Uncompressed layer tars, bottom first. */
  readonly layerTars: readonly Buffer[];
}

export interface RandomImageOptions {
  /** Equal seeds give equal images. */
  readonly seed?: string;
  readonly layers?: number;
  /** Bytes of the one random file in each layer. */
  readonly layerSize?: number;
  readonly compression?: "none" | "gzip";
  readonly dockerTypes?: boolean;
  readonly platform?: string;
}

/** A valid image of random files. */
export async function makeRandomImage(
  options: RandomImageOptions = {},
): Promise<RandomSingleImage> {
  const { seed = "seed", layers = 2, compression = "gzip", dockerTypes = false } = options;
  const platform = parsePlatform(options.platform ?? "linux/amd64");
  const blobs = new Map<Digest, Buffer>();
  const add = (mediaType: string, bytes: Buffer): Descriptor => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const layerTars: Buffer[] = [];
  const descriptors: Descriptor[] = [];
  const diffIds: DiffId[] = [];
  for (let index = 0; index < layers; index += 1) {
    const tar = await makeLayerTar(`${seed}/${String(index)}`, options.layerSize ?? 2000);
    layerTars.push(tar);
    diffIds.push(diffId(digestOf(tar)));
    const bytes = compression === "gzip" ? gzipSync(tar) : tar;
    descriptors.push(add(layerType(compression, dockerTypes), bytes));
  }
  const config: ImageConfig = {
    created: "2024-01-02T03:04:05Z",
    os: platform.os,
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: { env: ["PATH=/bin"], cmd: ["/bin/true"], labels: { seed } },
    diffIds,
    history: diffIds.map((_, index) => ({
      created: "2024-01-02T03:04:05Z",
      createdBy: `COPY file-${String(index)} /`,
    })),
  };
  const manifest: Manifest = {
    mediaType: dockerTypes ? mediaTypes.dockerManifest : mediaTypes.ociManifest,
    config: add(
      dockerTypes ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
      serializeImageConfig(config),
    ),
    layers: descriptors,
  };
  const root = { ...add(manifest.mediaType, serializeManifest(manifest)), platform };
  return { root, blobs, manifest, config, layerTars };
}

/** An index of one random image per platform. */
export async function makeRandomIndex(
  platforms: readonly string[],
  options: RandomImageOptions = {},
): Promise<RandomImage & { readonly images: readonly RandomSingleImage[] }> {
  const images: RandomSingleImage[] = [];
  for (const platform of platforms) {
    const seed = `${options.seed ?? "seed"}/${platform}`;
    images.push(await makeRandomImage({ ...options, platform, seed }));
  }
  const index = makeIndex(images);
  return { ...index, images };
}

/** An index over graphs that exist. */
export function makeIndex(children: readonly RandomImage[], dockerTypes = false): RandomImage {
  const mediaType = dockerTypes ? mediaTypes.dockerIndex : mediaTypes.ociIndex;
  const bytes = serializeIndex({ mediaType, manifests: children.map((child) => child.root) });
  const digest = digestOf(bytes);
  const blobs = new Map(children.flatMap((child) => [...child.blobs]));
  return {
    root: { mediaType, digest, size: bytes.length },
    blobs: blobs.set(digest, bytes),
  };
}

function layerType(compression: "none" | "gzip", dockerTypes: boolean): string {
  if (compression === "gzip") {
    return dockerTypes ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip;
  }
  return dockerTypes ? mediaTypes.dockerLayer : mediaTypes.ociLayer;
}

async function makeLayerTar(seed: string, size: number): Promise<Buffer> {
  const tar = pack();
  const name = `file-${createHash("sha256").update(seed).digest("hex").slice(0, 8)}`;
  tar.entry({ name, mode: 0o644, mtime: new Date(0) }, randomBytes(seed, size));
  tar.finalize();
  return buffer(tar);
}

function randomBytes(seed: string, size: number): Buffer {
  const chunks: Buffer[] = [];
  for (let made = 0; made < size; made += 32) {
    chunks.push(
      createHash("sha256")
        .update(`${seed}:${String(made)}`)
        .digest(),
    );
  }
  return Buffer.concat(chunks).subarray(0, size);
}
