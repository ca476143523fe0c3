import { constants } from "node:fs";
import type { FileStat } from "../core/index.ts";
import type { Device } from "./types.ts";

/** What the image says of a node and the disk does not; undefined where the disk tells the truth. */
export interface Looks {
  /** The node on the disk is an empty file in place of this. */
  readonly standsFor: Device | { readonly type: "whiteout" } | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly isOpaque: boolean;
  /** Attributes that the disk refused. */
  readonly xattrs: ReadonlyMap<string, Buffer> | undefined;
}

export const plainLooks: Looks = {
  standsFor: undefined,
  mode: undefined,
  uid: undefined,
  gid: undefined,
  isOpaque: false,
  xattrs: undefined,
};

export function isPlain(looks: Looks): boolean {
  const { standsFor, mode, uid, gid, isOpaque, xattrs } = looks;
  return (standsFor ?? mode ?? uid ?? gid) === undefined && !isOpaque && (xattrs?.size ?? 0) === 0;
}

/** `stat` as that of the node as the image has it. */
export function applyLooks(stat: FileStat, looks: Looks): FileStat {
  const { standsFor, uid = stat.uid, gid = stat.gid } = looks;
  const mode = looks.mode === undefined ? stat.mode : (stat.mode & ~0o7777) | looks.mode;
  if (standsFor === undefined) return { ...stat, mode, uid, gid };
  const type = standsFor.type === "block-device" ? constants.S_IFBLK : constants.S_IFCHR;
  // A whiteout is what it is to overlayfs: a character device 0:0.
  const rdev = standsFor.type === "whiteout" ? 0n : deviceNumber(standsFor);
  return { ...stat, mode: (mode & 0o7777) | type, uid, gid, rdev };
}

/** As the kernel and glibc put both numbers into one. */
function deviceNumber({ major, minor }: Device): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xfffn) << 8n) | ((high & ~0xfffn) << 32n) | (low & 0xffn) | ((low & ~0xffn) << 12n)
  );
}

export function withoutCapability(xattrs: Looks["xattrs"]): Looks["xattrs"] {
  const kept = [...(xattrs ?? [])].filter(([name]) => name !== "security.capability");
  return kept.length === 0 ? undefined : new Map(kept);
}
