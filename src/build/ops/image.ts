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
  request: {
    readonly environment: BuildEnvironment;
    readonly name: string;
    /** False when the image was shown already. */
    readonly claimDisplay: () => boolean;
  },
): Promise<LayersResult> {
  const { environment, name, claimDisplay } = request;
  const image = await environment.images.find(op.imageId);
  if (image === undefined) throw coreError("INTERNAL", `find base image ${op.imageId}`);
  let unpacked: Promise<void> | undefined;
  const unpack = async (): Promise<void> => {
    if (await isUnpacked(op, environment)) {
      if (claimDisplay()) environment.steps.cached(name);
      return;
    }
    claimDisplay();
    await environment.steps.run({ name, phase: "pull" }, async (step) => {
      await environment.images.ensureUnpacked(image, {
        fetchLayer: (descriptor, wanted) => environment.fetchLayer(image, descriptor, wanted),
        onProgress: (item, current, total, done) =>
          step.progress({ item, current, total, unit: "bytes", done }),
        thread: environment.thread,
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

/** Whether all files of the image are here. */
export async function isUnpacked(
  { chainId }: ImageOp,
  { snapshots }: Pick<BuildEnvironment, "snapshots">,
): Promise<boolean> {
  return chainId === undefined || (await snapshots.stat(chainId)) !== undefined;
}
