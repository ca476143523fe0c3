import { normalize } from "node:path";
import type { RootfsMount } from "../../core/index.ts";
import { sandboxError } from "../errors.ts";
import type { SandboxMount, SandboxSpec } from "../types.ts";
import { findResource } from "./resources.ts";

/**
 * Refuses what the kernel could not be told, or would understand differently.
 * @throws SANDBOX_SPEC_INVALID
 */
export function checkSpec(spec: SandboxSpec): void {
  if (spec.argv.length === 0) throw invalid("argv", "is empty");
  if (!spec.cwd.startsWith("/")) throw invalid("cwd", "is not absolute");
  if (Buffer.byteLength(spec.hostname) > 64) throw invalid("hostname", "is longer than 64 bytes");
  for (const mount of spec.mounts) {
    if (!mount.target.startsWith("/")) throw invalid("mount target", "is not absolute");
    if (normalize(mount.target) === "/") throw invalid("mount target", "is the root");
  }
  for (const { name } of spec.ulimits ?? []) {
    if (findResource(name) === undefined) throw invalid("ulimits", `have no ${name} on Linux`);
  }
  for (const id of [spec.user.uid, spec.user.gid, ...spec.user.groups]) {
    if (!isAccountNumber(id)) throw invalid("user", `has the number ${id}`);
  }
  for (const [name, texts] of textsOf(spec)) {
    if (texts.some((text) => text.includes("\0"))) throw invalid(name, "has a NUL byte");
  }
}

/** -1, which is 4294967295 too, would mean "stay who you are". */
function isAccountNumber(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < 0xffffffff;
}

function textsOf(spec: SandboxSpec): readonly (readonly [string, readonly string[]])[] {
  const { rootfs } = spec;
  return [
    ["argv", spec.argv],
    ["env", [...spec.env, ...(spec.secretEnv ?? [])]],
    ["cwd", [spec.cwd]],
    ["hostname", [spec.hostname]],
    ["mount target", spec.mounts.map((mount) => mount.target)],
    ["mount source", spec.mounts.flatMap(sourceTexts)],
    ["rootfs", rootfsTexts(rootfs)],
  ];
}

function sourceTexts(mount: SandboxMount): readonly string[] {
  if (mount.type === "bind") return [mount.source, mount.beneath ?? ""];
  return mount.type === "tree" ? [mount.path, ...rootfsTexts(mount.rootfs)] : [];
}

function rootfsTexts(rootfs: RootfsMount): readonly string[] {
  if (rootfs.type === "directory") return [rootfs.path];
  return [...rootfs.lower, rootfs.upper ?? "", rootfs.work ?? ""];
}

function invalid(what: string, why: string): Error {
  return sandboxError("SANDBOX_SPEC_INVALID", `run a step whose ${what} ${why}`, {
    details: { field: what },
  });
}
