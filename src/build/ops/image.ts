import { coreError } from "../../core/index.ts";
import type { ImageOp } from "../../plan/index.ts";
import type { BuildEnvironment } from "../environment.ts";
import type { LayersResult } from "../result.ts";

/**
 * A base image as a stack of layers. Lazy: its files are fetched and unpacked only when `materialize` is called,
 * which happens when some op has to read them.
 */
export async function resolveImage(
  op: ImageOp,
  request: { readonly environment: BuildEnvironment; readonly name: string },
): Promise<LayersResult> {
  const { environment, name } = request;
  const image = await environment.images.find(op.imageId);
  if (image === undefined) throw coreError("INTERNAL", `find base image ${op.imageId}`);
  let unpacked: Promise<void> | undefined;
  const unpack = async (): Promise<void> => {
    if (op.chainId === undefined) return;
    if ((await environment.snapshots.stat(op.chainId)) !== undefined) {
      environment.steps.cached(name);
      return;
    }
    await environment.steps.run(name, async (step) => {
      await environment.images.ensureUnpacked(image, {
        fetchLayer: (descriptor, signal) => environment.fetchLayer(image, descriptor, signal),
        onProgress: (item, current, total, done) =>
          step.progress({ item, current, total, unit: "bytes", done }),
        signal: environment.signal,
      });
    });
  };
  return {
    type: "layers",
    diffIds: image.config.diffIds,
    chainId: op.chainId,
    created: image.config.created ?? new Date(0).toISOString(),
    materialize: () => (unpacked ??= unpack()),
  };
}
