import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { diffId, digestOf, mediaTypes, type Digest, type DiffId } from "../../src/core/index.ts";
import {
  type ContentSource,
  type Descriptor,
  type ImageConfig,
  serializeImageConfig,
  serializeIndex,
  serializeManifest,
} from "../../src/image/index.ts";
import { writeLayerTar } from "../../src/layer/index.ts";
import { fileEntry } from "./memory-snapshotter.ts";

/** An image as a registry has it. */
export interface MadeImage {
  readonly root: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly DiffId[];
  readonly tars: readonly Buffer[];
}

/** Content by digest, as a place to copy from; counts what is taken. */
export class MadeContent implements ContentSource {
  readonly label = "made content";
  readonly blobs = new Map<Digest, Buffer>();
  readonly fetched: Digest[] = [];

  add(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async fetch({ digest }: Descriptor): Promise<Readable> {
    this.fetched.push(digest);
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new Error(`no blob ${digest}`);
    return Readable.from([bytes]);
  }

  async resolve(): Promise<undefined> {
    return undefined;
  }

  /** An image with one layer for each group of files, its tars padded as GNU tar does, so not as ours are. */
  async addImage(
    layers: readonly Readonly<Record<string, string>>[],
    options: { readonly config?: Partial<ImageConfig>; readonly docker?: boolean } = {},
  ): Promise<MadeImage> {
    const docker = options.docker ?? false;
    const tars = await Promise.all(layers.map(makeForeignTar));
    const diffIds = tars.map((tar) => diffId(digestOf(tar)));
    const layerType = docker ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip;
    const blobs = tars.map((tar) => this.add(layerType, gzipSync(tar)));
    const configBytes = serializeImageConfig({ ...imageConfig(diffIds), ...options.config });
    const config = this.add(docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig, configBytes);
    const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
    const root = this.add(mediaType, serializeManifest({ mediaType, config, layers: blobs }));
    return { root, config, layers: blobs, diffIds, tars };
  }

  addIndex(manifests: readonly Descriptor[]): Descriptor {
    const mediaType = mediaTypes.ociIndex;
    return this.add(mediaType, serializeIndex({ mediaType, manifests }));
  }
}

/** The config of a small image over these layers. */
export function imageConfig(diffIds: readonly DiffId[]): ImageConfig {
  return {
    created: "2026-01-02T03:04:05Z",
    os: "linux",
    architecture: "amd64",
    config: { cmd: ["sh"] },
    diffIds,
    history: diffIds.map(() => ({ createdBy: "test" })),
  };
}

async function makeForeignTar(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const entries = Object.entries(files).map(([path, content]) =>
    fileEntry(path, Buffer.from(content)),
  );
  const tar = await buffer(writeLayerTar(Readable.from(entries)));
  return Buffer.concat([tar, Buffer.alloc(10_240 - (tar.length % 10_240))]);
}
