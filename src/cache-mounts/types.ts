import type { Digest } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { CacheMountName } from "../store/index.ts";

/** Where a piece of content is kept: in a pack, a blob of many chunks one behind the other. */
export interface ChunkPlace {
  readonly pack: Digest;
  /** Of the first byte in the pack. */
  readonly offset: number;
  /** Bytes in the pack; fewer than `size` where it is compressed. */
  readonly stored: number;
  /** Bytes of the content. */
  readonly size: number;
}

/** By the digest of their content. */
export type ChunkPlaces = ReadonlyMap<Digest, ChunkPlace>;

/** One cache mount as it travels. */
export interface MountRecord {
  readonly key: string;
  readonly name: CacheMountName;
  /** Names in it that are no directories. */
  readonly files: number;
  /** Bytes of content. */
  readonly size: number;
  /** When a file of it was used last: days since the epoch. */
  readonly usedOn: number;
  /** A tar of headers without contents, in chunks. */
  readonly catalogue: readonly Digest[];
  /** Contents of its files in the order of the catalogue, in chunks. */
  readonly contents: readonly Digest[];
}

/** All cache mounts that stand under one name. */
export interface MountSet {
  /** Sorted by key. */
  readonly mounts: readonly MountRecord[];
  readonly chunks: ChunkPlaces;
  readonly packs: ReadonlyMap<Digest, Descriptor>;
}
