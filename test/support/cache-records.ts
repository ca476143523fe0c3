import { mediaTypes, digestOf, type DiffId } from "../../src/core/index.ts";
import { stateOn, type CacheState, type RemoteRecord } from "../../src/cache/index.ts";
import type { Descriptor } from "../../src/image/index.ts";

/** A layer that is called `name`, and its blob. */
export function layerCalled(name: string): {
  readonly diffId: DiffId;
  readonly blob: Descriptor;
  readonly bytes: Buffer;
} {
  const bytes = Buffer.from(`blob of ${name}`);
  return {
    diffId: digestOf(`layer ${name}`) as DiffId,
    blob: { mediaType: mediaTypes.ociLayerGzip, digest: digestOf(bytes), size: bytes.length },
    bytes,
  };
}

/** The state that layers of these names make, bottom first. */
export function stackOf(...names: readonly string[]): CacheState {
  let state: CacheState | undefined;
  for (const name of names) {
    const created = "2026-01-02T03:04:05.678Z";
    state = stateOn(state, { diffId: layerCalled(name).diffId, created });
  }
  if (state === undefined) throw new Error("a stack has a layer");
  return state;
}

/** A record under the key that is called `key`. */
export function recordOf(
  key: string,
  state: CacheState,
  more: Partial<RemoteRecord> = {},
): RemoteRecord {
  return { key: digestOf(`key ${key}`), state, durationMs: 12, used: "2026-11-20", ...more };
}
