import type { ActiveSnapshot, PrepareOptions } from "../../snapshot/index.ts";
import type { LayersResult } from "../result.ts";
import type { OpRequest } from "./request.ts";

/**
 * Runs `work` on a writable state above the op's base and commits it as one more layer. Nothing is kept when `work`
 * fails or the build is canceled.
 */
export async function makeLayer(
  request: OpRequest,
  work: (active: ActiveSnapshot) => Promise<void>,
  options: Pick<PrepareOptions, "asTar"> = {},
): Promise<LayersResult> {
  const { base, environment, step } = request;
  const active = await environment.snapshots.prepare(base.chainId, options);
  try {
    await step.phase("run", () => work(active));
    environment.signal.throwIfAborted();
    const { signal, snapshots, clock } = environment;
    const snapshot = await step.phase("commit", () =>
      snapshots.commit(active, { created: clock.now(), signal }),
    );
    step.usage({ layerBytes: snapshot.tarSize });
    return {
      type: "layers",
      diffIds: [...base.diffIds, snapshot.diffId],
      chainId: snapshot.chainId,
      created: snapshot.created,
    };
  } catch (error) {
    await environment.snapshots.abandon(active);
    throw error;
  }
}
