import { extendChain, type ChainId, type DiffId, type Digest } from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";

/**
 * What a step left, or an image that steps stand on: one layer on the state below. The name of a state follows from its
 * layers, so that no document can give one stack the name of another.
 */
export interface CacheState {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly parent: CacheState | undefined;
  /** Number of layers. */
  readonly depth: number;
  /** ISO time at which the layer was made, where somebody knows it. */
  readonly created?: string;
}

/** The state that a step came to, under one of its keys. */
export interface RemoteRecord {
  readonly key: Digest;
  readonly state: CacheState;
  /** How long the work took, in milliseconds. */
  readonly durationMs: number;
  /** As `formatPlatform` has it; absent where it does not matter. */
  readonly platform?: string;
  /** The day on which it was last of use to somebody who writes here, `2026-01-31` in UTC. */
  readonly used: string;
}

/** All that a cache in one place holds. */
export interface CacheContents {
  readonly records: readonly RemoteRecord[];
  /** Blobs of layers. Those of base images are had from their own registries. */
  readonly layers: ReadonlyMap<DiffId, Descriptor>;
}

/** One more layer on a state; on nothing where `parent` is undefined. */
export function stateOn(
  parent: CacheState | undefined,
  layer: { readonly diffId: DiffId; readonly created?: string | undefined },
): CacheState {
  const { diffId, created } = layer;
  return {
    chainId: extendChain(parent?.chainId, diffId),
    diffId,
    parent,
    depth: (parent?.depth ?? 0) + 1,
    ...(created === undefined ? {} : { created }),
  };
}

/** The states below a state and itself, bottom first. */
export function statesBelow(state: CacheState): CacheState[] {
  const states: CacheState[] = [];
  for (let at: CacheState | undefined = state; at !== undefined; at = at.parent) states.push(at);
  return states.reverse();
}

/** The layers of a state, bottom first. */
export function diffIdsOf(state: CacheState): DiffId[] {
  return statesBelow(state).map(({ diffId }) => diffId);
}

/** Every state that records need, parents before children. */
export function statesOf(records: readonly RemoteRecord[]): CacheState[] {
  const states = new Map<ChainId, CacheState>();
  for (const { state } of records) {
    for (let at: CacheState | undefined = state; at !== undefined; at = at.parent) {
      const known = states.get(at.chainId);
      if (known?.created !== undefined) break;
      if (known === undefined || at.created !== undefined) states.set(at.chainId, at);
      else break;
    }
  }
  return [...states.values()].sort(
    (a, b) => a.depth - b.depth || compareDigests(a.chainId, b.chainId),
  );
}

/** In byte order. */
export function compareDigests(a: Digest, b: Digest): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether it is a time as `Date` writes it: it enters the config of images. */
export function isTime(value: unknown): value is string {
  if (typeof value !== "string" || value.length > 40) return false;
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString() === value;
}
