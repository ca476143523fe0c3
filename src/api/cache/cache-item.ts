import type { ChainId, Digest } from "../../core/index.ts";

/** Something that the build cache keeps, by itself or with others of its kind. Sizes in bytes. */
export interface CacheItem {
  /** What it is called in lists; of a step the digest of one of its keys. */
  readonly id: string;
  readonly type: "regular" | "exec.cachemount" | "source.git.checkout";
  /** The instruction of a step, or what else it is. */
  readonly description: string;
  /** Keys under which a step finds it; empty for what is no step. */
  readonly keys: readonly ItemKey[];
  /** Items whose layer lies below this one's. */
  readonly parents: readonly string[];
  /** State that the step came to; its layer is the topmost one. Absent for what is no step. */
  readonly result?: ChainId;
  /** Its own layer in all forms, and its records. */
  readonly size: number;
  /** The part of it that images and containers need too: pruning does not free it. */
  readonly shared: number;
  /** The part that only the cache needs. */
  readonly unique: number;
  /** ISO time; of a step, when its work was done. */
  readonly created?: string;
  /** How long that took, in milliseconds. */
  readonly durationMs?: number;
  /** ISO time, give or take an hour; absent where nobody knows. */
  readonly lastUsed?: string;
  /** Whether it is sure to survive a power cut. */
  readonly durable: boolean;
}

export interface ItemKey {
  readonly key: Digest;
  /** Absent where the key's object is lost. */
  readonly kind?: "definition" | "content";
}
