import { rootPathToString } from "../../layer/index.ts";
import type { ExecMount } from "../../plan/index.ts";
import { findSource, openInput } from "./mount-input.ts";
import type { MountPlace, OpenedMount } from "./step-mounts.ts";

/**
 * A path of other layers: mounted by the step itself. Writes go to a layer of their own, which is thrown away.
 * @throws CONTEXT_SOURCE_NOT_FOUND
 */
export async function openBindMount(
  mount: Extract<ExecMount, { type: "bind" }>,
  { request }: MountPlace,
): Promise<OpenedMount> {
  const { snapshots } = request.environment;
  const { layers, tree } = await openInput(mount.input, request);
  const { path, isFile } = await findSource(tree, mount.source);
  const shown = {
    type: "tree",
    path: `/${rootPathToString(path)}`,
    isFile,
    target: mount.target,
    readOnly: mount.readOnly,
  } as const;
  if (mount.readOnly && layers.chainId !== undefined) {
    return { mount: { ...shown, rootfs: await snapshots.view(layers.chainId) } };
  }
  // Nothing at all has no view either, as an overlay needs a layer.
  const active = await snapshots.prepare(layers.chainId);
  return {
    mount: { ...shown, rootfs: await active.mount() },
    close: async () => snapshots.abandon(active),
  };
}
