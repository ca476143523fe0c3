import { toRootPath } from "../../layer/index.ts";
import type { MkdirOp } from "../../plan/index.ts";
import { resolveOwner } from "../../sandbox/index.ts";
import { makeDirectories, openTreeWriter } from "../../snapshot/index.ts";
import type { LayersResult } from "../result.ts";
import { makeLayer } from "./layer.ts";
import type { OpRequest } from "./request.ts";

/**
 * WORKDIR: creates the chain of directories, each 0755 and owned by USER; what exists stays as it is. The layer is
 * kept even when there was nothing to create.
 */
export async function executeMkdir(op: MkdirOp, request: OpRequest): Promise<LayersResult> {
  const { environment } = request;
  return makeLayer(request, async (active) => {
    const owner = await resolveOwner({ tree: active.tree, owner: op.user });
    const writer = openTreeWriter(active);
    await makeDirectories({
      tree: active.tree,
      writer,
      path: toRootPath(op.path, { beyondRoot: "stay" }),
      attributes: { mode: 0o755, ...owner, mtime: environment.implicitTime },
    });
    await writer.finish();
  });
}
