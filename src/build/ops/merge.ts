import type { BuildEnvironment } from "../environment.ts";
import type { LayersResult } from "../result.ts";

/**
 * `--link`: puts a layer that was made on an empty root on another stack. Files are shared, not copied, where the
 * snapshots can do that; nothing of the layer depends on the stack, so links in the stack are not followed and its
 * directories take the looks of the layer's.
 */
export async function executeMerge(request: {
  readonly environment: BuildEnvironment;
  readonly base: LayersResult;
  readonly layer: LayersResult;
}): Promise<LayersResult> {
  const { environment, base, layer } = request;
  if (layer.chainId === undefined) return base;
  const { chainId, diffId, created } = await environment.snapshots.restack(
    base.chainId,
    layer.chainId,
  );
  return { type: "layers", diffIds: [...base.diffIds, diffId], chainId, created };
}
