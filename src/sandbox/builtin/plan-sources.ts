import type { SandboxMount } from "../types.ts";
import type { Host } from "./host.ts";
import { mountAttribute } from "./linux.ts";
import { openLayers } from "./open-layers.ts";
import type { Op } from "./ops.ts";

const { readOnly, noSuid, noDev, noExec } = mountAttribute;

export interface SourcePlanOptions {
  readonly host: Host;
  /** A directory of the host over which a mount may be attached for a moment. */
  readonly staging: string;
  /** Attributes that every mount of the step gets. */
  readonly attributes: number;
}

/** The name under which the source of a mount is held. */
export function heldName({ target }: SandboxMount): string {
  return `mount ${target}`;
}

/**
 * Opens what a mount shows, while the host's root is still ours, and holds it. A tmpfs has no source.
 *
 * Kernels before 6.15 clone no part of a mount that is not attached: so what a part of is wanted is attached to the
 * staging directory for a moment, in the step's own mount namespace.
 */
export function openSource(mount: SandboxMount, options: SourcePlanOptions): readonly Op[] {
  switch (mount.type) {
    case "tmpfs":
      return [];
    case "bind":
      return [openBind(mount, options)];
    case "tree":
      return openTree(mount, options);
    case "secret":
      return openSecret(mount, options);
  }
}

function openBind(
  mount: Extract<SandboxMount, { type: "bind" }>,
  { attributes }: SourcePlanOptions,
): Op {
  const { source, beneath } = mount;
  return {
    type: "open-tree",
    source,
    ...(beneath === undefined ? {} : { beneath }),
    recursive: true,
    attributes: attributes | (mount.readOnly ? readOnly : 0) | (mount.noExec === true ? noExec : 0),
    as: heldName(mount),
  };
}

function openTree(
  mount: Extract<SandboxMount, { type: "tree" }>,
  { host, staging, attributes }: SourcePlanOptions,
): readonly Op[] {
  const whole = `whole ${heldName(mount)}`;
  const access = attributes | (mount.readOnly ? readOnly : 0);
  const opened = openLayers({ rootfs: mount.rootfs, host, attributes: access, as: whole });
  const beneath = mount.path.slice(1);
  const part = (source: string): Op => ({
    type: "open-tree",
    source,
    ...(beneath === "" ? {} : { beneath }),
    recursive: false,
    attributes: access,
    as: heldName(mount),
  });
  if (opened.type === "open-tree") return [part(opened.source)];
  return [opened, ...staged(whole, { staging, then: [part(staging)] })];
}

function staged(
  from: string,
  { staging, then }: { readonly staging: string; readonly then: readonly Op[] },
): readonly Op[] {
  return [
    { type: "attach", from, target: staging, follow: true },
    ...then,
    { type: "unmount", target: staging },
  ];
}

/** A file in a tmpfs of its own, whose bytes are a part of the step program. */
function openSecret(
  mount: Extract<SandboxMount, { type: "secret" }>,
  { staging, attributes }: SourcePlanOptions,
): readonly Op[] {
  const { content, mode, uid, gid } = mount;
  const path = `${staging}/secret`;
  const isProgram = (mode & 0o111) !== 0;
  return [
    {
      type: "mount",
      filesystem: "tmpfs",
      options: [["mode", "700"]],
      attributes: 0,
      target: staging,
      follow: true,
    },
    { type: "write-file", path, content, mode, uid, gid },
    {
      type: "open-tree",
      source: path,
      recursive: false,
      attributes: attributes | readOnly | noSuid | noDev | (isProgram ? 0 : noExec),
      as: heldName(mount),
    },
    { type: "unmount", target: staging },
  ];
}
