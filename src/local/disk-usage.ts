import { join } from "node:path";
import type { ChainId, Digest } from "../core/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import { openImageRecords } from "./image-records.ts";
import { collectImages, type NamedImage } from "./list-images.ts";
import { configDescriptor, type ImagePlace } from "./load-image.ts";
import { indexSnapshots, Reach, type SnapshotIndex } from "./reach.ts";

/** One line of `system df`. Sizes in bytes. */
export interface UsageGroup {
  readonly total: number;
  /** How many are in use. */
  readonly active: number;
  /** What they take up together; what is shared counts once. */
  readonly size: number;
  /** What removing those that are not in use would free. */
  readonly reclaimable: number;
}

export interface ImageUsage {
  readonly id: Digest;
  readonly names: readonly string[];
  readonly created: string | undefined;
  /** Unpacked layers and blobs. */
  readonly size: number;
  /** The part of `size` that other images need as well. */
  readonly shared: number;
  readonly unique: number;
  /** Number of containers made of it. */
  readonly containers: number;
}

export interface DiskUsage {
  readonly images: UsageGroup & { readonly items: readonly ImageUsage[] };
  readonly containers: UsageGroup;
  readonly volumes: UsageGroup;
  /** Layers that only cache records need, and the records. In use are records whose layers an image has. */
  readonly buildCache: UsageGroup;
}

/** What takes up space beside images; told by the places that own it. */
export interface DiskUsageOptions {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly containers: readonly {
    readonly image?: Digest;
    /** Bytes that it wrote itself. */
    readonly size: number;
    readonly running: boolean;
  }[];
  readonly volumes: readonly { readonly size: number; readonly used: boolean }[];
  readonly cache: AsyncIterable<{ readonly chainId: ChainId | undefined; readonly size: number }>;
}

/** Digests of snapshots and blobs with the bytes that each takes up. */
type Parts = ReadonlyMap<string, number>;

/** What takes up space, and what could be freed. Reads no layer. */
export async function diskUsage(options: DiskUsageOptions): Promise<DiskUsage> {
  const { store, snapshots, containers } = options;
  const place = {
    ...{ store, snapshots },
    records: openImageRecords(join(store.root, "images"), store.tmpDir),
    index: await indexSnapshots(snapshots),
  };
  const images: { readonly named: NamedImage; readonly parts: Parts }[] = [];
  for (const named of await collectImages(place)) {
    images.push({ named, parts: await partsOfImage(place, named) });
  }
  const used = new Set(containers.flatMap(({ image }) => image ?? []));
  const all = mergeParts(images.map(({ parts }) => parts));
  const active = images.filter(({ named }) => used.has(named.image.id));
  const size = sumOf(all);
  return {
    images: {
      total: images.length,
      active: active.length,
      size,
      reclaimable: size - sumOf(mergeParts(active.map(({ parts }) => parts))),
      items: images.map((image) => imageUsage(image, { images, containers })),
    },
    containers: simpleUsage(containers.map((each) => ({ ...each, used: each.running }))),
    volumes: simpleUsage(options.volumes),
    buildCache: await cacheUsage(options.cache, { place, imageParts: all }),
  };
}

function imageUsage(
  { named, parts }: { readonly named: NamedImage; readonly parts: Parts },
  among: {
    readonly images: readonly { readonly named: NamedImage; readonly parts: Parts }[];
    readonly containers: DiskUsageOptions["containers"];
  },
): ImageUsage {
  const { image, names } = named;
  const others = among.images.filter((other) => other.named !== named);
  let shared = 0;
  for (const [part, bytes] of parts) {
    if (others.some((other) => other.parts.has(part))) shared += bytes;
  }
  const size = sumOf(parts);
  const containers = among.containers.filter((each) => each.image === image.id).length;
  const { created } = image.config;
  return { id: image.id, names, created, size, shared, unique: size - shared, containers };
}

type UsagePlace = ImagePlace & { readonly snapshots: Snapshotter; readonly index: SnapshotIndex };

async function partsOfImage(place: UsagePlace, { image }: NamedImage): Promise<Parts> {
  const reach = new Reach(place, place.index);
  await reach.addDescriptor(image.manifest ?? configDescriptor(image));
  return measure(place, reach);
}

async function measure({ store, snapshots, index }: UsagePlace, reach: Reach): Promise<Parts> {
  const parts = new Map<string, number>();
  for (const chainId of reach.chains) {
    const snapshot = index.get(chainId);
    if (snapshot !== undefined) parts.set(`snapshot ${chainId}`, snapshots.spaceOf(snapshot));
  }
  for (const digest of reach.blobs) {
    const size = await store.blobs.size(digest);
    if (size !== undefined) parts.set(`blob ${digest}`, size);
  }
  return parts;
}

async function cacheUsage(
  cache: DiskUsageOptions["cache"],
  known: { readonly place: UsagePlace; readonly imageParts: Parts },
): Promise<UsageGroup> {
  const { place, imageParts } = known;
  const reach = new Reach(place, place.index);
  const group = { total: 0, active: 0, records: 0, unused: 0 };
  for await (const { chainId, size } of cache) {
    const isActive = chainId !== undefined && imageParts.has(`snapshot ${chainId}`);
    group.total += 1;
    group.active += isActive ? 1 : 0;
    group.records += size;
    group.unused += isActive ? 0 : size;
    if (chainId !== undefined) await reach.addChain(chainId);
  }
  const own = [...(await measure(place, reach))].filter(([part]) => !imageParts.has(part));
  const layers = sumOf(new Map(own));
  const { total, active, records, unused } = group;
  return { total, active, size: layers + records, reclaimable: layers + unused };
}

function simpleUsage(
  items: readonly { readonly size: number; readonly used: boolean }[],
): UsageGroup {
  const sizeOf = (some: readonly { readonly size: number }[]): number =>
    some.reduce((sum, { size }) => sum + size, 0);
  return {
    total: items.length,
    active: items.filter(({ used }) => used).length,
    size: sizeOf(items),
    reclaimable: sizeOf(items.filter(({ used }) => !used)),
  };
}

function mergeParts(all: readonly Parts[]): Parts {
  return new Map(all.flatMap((parts) => [...parts]));
}

function sumOf(parts: Parts): number {
  let sum = 0;
  for (const bytes of parts.values()) sum += bytes;
  return sum;
}
