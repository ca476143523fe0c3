import type { RootfsMount } from "../../core/index.ts";
import { isKernelAtLeast, type Host } from "./host.ts";
import { mountAttribute } from "./linux.ts";
import type { OpOf } from "./ops.ts";

const { readOnly } = mountAttribute;

/** Opens a root filesystem as one mount, held under `as`. */
export function openLayers(root: {
  readonly rootfs: RootfsMount;
  readonly host: Host;
  readonly attributes: number;
  readonly as: string;
}): OpOf<"open-tree" | "open-overlay"> {
  const { rootfs, attributes, as } = root;
  if (rootfs.type === "directory") {
    return openDirectory(rootfs.path, {
      attributes: attributes | (rootfs.readOnly ? readOnly : 0),
      as,
    });
  }
  const { lower, upper, work } = rootfs;
  const writable = upper === undefined || work === undefined ? undefined : { upper, work };
  const [only] = lower;
  // overlayfs refuses a single layer that cannot be written: there is nothing to merge.
  if (writable === undefined && only !== undefined && lower.length === 1) {
    return openDirectory(only, { attributes: attributes | readOnly, as });
  }
  return {
    type: "open-overlay",
    lower,
    writable,
    interface: isKernelAtLeast(root.host.kernelRelease, [6, 7]) ? "layers" : "string",
    attributes: attributes | (writable === undefined ? readOnly : 0),
    as,
  };
}

function openDirectory(
  source: string,
  { attributes, as }: { readonly attributes: number; readonly as: string },
): OpOf<"open-tree"> {
  return { type: "open-tree", source, recursive: false, attributes, as };
}
