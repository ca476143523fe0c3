import {
  canonicalJson,
  chainIdOf,
  diffId,
  Digester,
  digestOf,
  mediaTypes,
  type ChainId,
  type DiffId,
} from "../../core/index.ts";
import { serializeImageConfig } from "../../image/index.ts";
import {
  compressGzip,
  digestChunks,
  gzipLevel,
  layerTarChunks,
  type LayerEntryWithContent,
} from "../../layer/index.ts";
import type { ImageGroup, LocalImage } from "../../local/index.ts";
import type { Engine } from "../engine.ts";

export interface RewriteRequest {
  readonly engine: Engine;
  /** SOURCE_DATE_EPOCH in nanoseconds. */
  readonly epoch: bigint;
  /** How many of an image's layers are its base's: these stay byte for byte. */
  readonly baseLayers: (image: LocalImage) => number;
}

/**
 * The same images with no file in their new layers later than `epoch`. The rewritten layers lie in the store as blobs.
 * @see docs/spec/dockerfile.md, 7.9
 */
export async function rewriteTimestamps(
  group: ImageGroup,
  request: RewriteRequest,
): Promise<ImageGroup> {
  const members = [];
  for (const member of group.members) {
    members.push({ ...member, image: await rewriteImage(member.image, request) });
  }
  return { ...group, members };
}

async function rewriteImage(image: LocalImage, request: RewriteRequest): Promise<LocalImage> {
  const { diffIds } = image.config;
  const base = diffIds.slice(0, request.baseLayers(image));
  const rewritten: DiffId[] = [...base];
  for (const [index, layer] of diffIds.entries()) {
    if (index < base.length) continue;
    const chainId = chainIdOf(diffIds.slice(0, index + 1));
    if (chainId !== undefined) rewritten.push(await rewriteLayer({ layer, chainId }, request));
  }
  const config = { ...image.config, diffIds: rewritten };
  const configBytes = serializeImageConfig(config);
  return { ...image, id: digestOf(configBytes), config, configBytes };
}

/** The layer's new diffId; remembered, since the same layer at the same epoch always gives the same. */
async function rewriteLayer(
  { layer, chainId }: { readonly layer: DiffId; readonly chainId: ChainId },
  { engine, epoch }: RewriteRequest,
): Promise<DiffId> {
  const { store, cache, signal } = engine;
  const object = {
    version: 1,
    kind: "content",
    fields: [
      { name: "rewritten layer", value: layer },
      { name: "epoch", value: String(epoch) },
    ],
  } as const;
  const key = digestOf(canonicalJson(object));
  const known = (await cache.lookup(key))?.diffIds[0];
  if (known !== undefined && (await hasBlob(engine, known))) return known;
  const digester = new Digester();
  const tar = layerTarChunks(clamped(engine.snapshots.diff(chainId), epoch));
  const written = await store.blobs.write(
    compressGzip(digestChunks(tar, digester), {}),
    undefined,
    signal,
  );
  const found = diffId(digester.digest());
  const blob = { mediaType: mediaTypes.ociLayerGzip, ...written, levels: [gzipLevel()] };
  await store.layerBlobs.add(found, blob);
  const created = engine.clock.now().toISOString();
  const record = { diffIds: [found], chainId: undefined, created, durationMs: 0 };
  await cache.store(key, object, record);
  return found;
}

async function hasBlob({ store }: Engine, layer: DiffId): Promise<boolean> {
  for (const { digest } of await store.layerBlobs.get(layer)) {
    if (await store.blobs.has(digest)) return true;
  }
  return false;
}

async function* clamped(
  entries: AsyncIterable<LayerEntryWithContent>,
  epoch: bigint,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  for await (const entry of entries) {
    yield entry.mtime > epoch ? { ...entry, mtime: epoch } : entry;
  }
}
