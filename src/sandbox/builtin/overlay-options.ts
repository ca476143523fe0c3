import { dirname, relative, resolve } from "node:path";
import { sandboxError } from "../errors.ts";
import type { OverlayLayers } from "./ops.ts";

/** mount(2) copies one page of options and cuts off the rest. */
const maxLength = 4095;

export interface RelativeLayers {
  /** Absolute; the names are relative to it. */
  readonly parent: string;
  readonly layers: Omit<OverlayLayers, "interface">;
}

/** Names each directory relative to the nearest directory above all of them: hundreds of layers fit into one page. */
export function nameLayersRelatively(overlay: OverlayLayers): RelativeLayers {
  const { lower, writable } = overlay;
  const all = writable === undefined ? lower : [...lower, writable.upper, writable.work];
  const parent = all.map((path) => dirname(resolve(path))).reduce(nearestShared);
  const name = (path: string): string => relative(parent, resolve(path));
  return {
    parent,
    layers: {
      lower: lower.map(name),
      writable: writable && { upper: name(writable.upper), work: name(writable.work) },
    },
  };
}

/** @throws SANDBOX_MOUNT_FAILED when the layers do not fit into one page */
export function overlayOptionString(mount: {
  readonly layers: Omit<OverlayLayers, "interface">;
  readonly options: readonly (readonly [key: string, value?: string])[];
}): string {
  const { lower, writable } = mount.layers;
  const directories: [string, string][] = [["lowerdir", lower.map(escapeLayer).join(":")]];
  if (writable !== undefined) {
    directories.push(["upperdir", escapeName(writable.upper)]);
    directories.push(["workdir", escapeName(writable.work)]);
  }
  const options = [...directories, ...mount.options]
    .map(([key, value]) => (value === undefined ? key : `${key}=${value}`))
    .join(",");
  if (Buffer.byteLength(options) > maxLength) {
    throw sandboxError(
      "SANDBOX_MOUNT_FAILED",
      `mount a root filesystem of ${lower.length} layers`,
      {
        hint: "this kernel takes the names of all layers in one page; Linux 6.7 lifts the limit",
        details: { target: "/", layers: lower.length },
      },
    );
  }
  return options;
}

function nearestShared(left: string, right: string): string {
  const [a, b] = [left.split("/"), right.split("/")];
  const different = a.findIndex((part, i) => part !== b[i]);
  return different === -1 ? left : a.slice(0, different).join("/") || "/";
}

/** Commas part options, a backslash takes the meaning from the next character. */
function escapeName(name: string): string {
  return name.replace(/[\\,]/g, "\\$&");
}

/** Colons part layers. */
function escapeLayer(name: string): string {
  return name.replace(/[\\,:]/g, "\\$&");
}
