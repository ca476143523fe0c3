import { existsSync, readFileSync, readdirSync, statSync, statfsSync } from "node:fs";
import { release } from "node:os";
import { errnoOf } from "../../core/index.ts";
import { sandboxError } from "../errors.ts";
import { capabilityMask } from "./capabilities.ts";
import type { MachineArch } from "./encode.ts";
import { isMachineArch } from "./encode.ts";
import { maskedPaths, readOnlyPaths, standardDevices } from "./standard-paths.ts";

/** What plans need to know of this machine and this process; read once. */
export interface Host {
  readonly arch: MachineArch;
  /** `uname -r`. */
  readonly kernelRelease: string;
  /** Number of the last capability that the kernel knows. */
  readonly lastCapability: number;
  /** Capabilities that this process has and may pass on. */
  readonly capabilities: bigint;
  /** Capabilities that a program which this process starts can have at all. */
  readonly bounding: bigint;
  /** Hard limit of open files. */
  readonly maxOpenFiles: number;
  /** Paths of /proc and /sys to hide, those that exist here. */
  readonly maskedPaths: readonly { readonly path: string; readonly isDirectory: boolean }[];
  readonly readOnlyPaths: readonly string[];
  /** How control groups are seen: the unified hierarchy, the older ones, or not at all. */
  readonly cgroups: "v2" | "v1" | "none";
}

const cgroup2Magic = 0x63677270;
/** Without these a tree of several users cannot be put together as a step is to see it. */
const ownersNeed = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"] as const;

/** What a way to run steps needs: the newest system call is mount_setattr(2), or close_range(2) with a flag. */
const needs = {
  namespaces: { kernel: [5, 12], capabilities: ["CAP_SYS_ADMIN", ...ownersNeed] },
  chroot: {
    kernel: [5, 11],
    // Without CAP_KILL what a step leaves behind could not be ended when it is another user's.
    capabilities: ["CAP_SYS_CHROOT", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", ...ownersNeed],
  },
} as const;

/**
 * Reads the facts; a dozen tiny files of /proc and /sys, synchronously, since they never block and take 0.2 ms.
 * @throws SANDBOX_UNSUPPORTED when this kernel, architecture or privilege does not do
 */
export function readHost(way: keyof typeof needs = "namespaces"): Host {
  const { arch } = process;
  if (!isMachineArch(arch)) throw unsupported(way, `architecture ${arch}`);
  const kernelRelease = release();
  const { kernel } = needs[way];
  if (!isKernelAtLeast(kernelRelease, kernel)) {
    throw unsupported(way, `Linux ${kernelRelease} (needs ${kernel.join(".")})`);
  }
  const capabilities = readCapabilities("CapPrm");
  const missing = needs[way].capabilities.filter(
    (capability) => (capabilities & capabilityMask([capability])) === 0n,
  );
  if (missing.length > 0)
    throw unsupported(way, `a process without ${missing.join(", ")}`, { capabilities: missing });
  checkDevices(way);
  return {
    arch,
    kernelRelease,
    capabilities,
    bounding: readCapabilities("CapBnd"),
    lastCapability: Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")),
    maxOpenFiles: readMaxOpenFiles(),
    maskedPaths: [...maskedPaths, ...thermalThrottlePaths()].flatMap(existingPath),
    readOnlyPaths: readOnlyPaths.filter((path) => existsSync(path)),
    cgroups: detectCgroups(),
  };
}

function unsupported(
  way: keyof typeof needs,
  what: string,
  details: { readonly capabilities?: readonly string[] } = {},
): Error {
  const { capabilities = [] } = details;
  const name = way === "chroot" ? "chroot" : "builtin";
  const flags = capabilities.map((capability) => ` --cap-add ${capability.slice("CAP_".length)}`);
  const isMany = capabilities.length > 0;
  const grant = isMany ? ` with ${capabilities.join(", ")} (docker run${flags.join("")})` : "";
  return sandboxError("SANDBOX_UNSUPPORTED", `open the ${name} sandbox on ${what}`, {
    hint: `run as root${grant}, or choose another --isolation; tsbuild doctor tells what works here`,
    details,
  });
}

/** Whether a release such as "6.1.0-18-amd64" is `[major, minor]` or newer. */
export function isKernelAtLeast(
  kernelRelease: string,
  [major, minor]: readonly [number, number],
): boolean {
  const [foundMajor = 0, foundMinor = 0] = kernelRelease.split(/[.-]/).map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}

function readCapabilities(set: "CapPrm" | "CapBnd"): bigint {
  const status = readFileSync("/proc/self/status", "utf8");
  return BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`);
}

function readMaxOpenFiles(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? 1024 : Number(hard);
}

/** A false /dev/null would be handed to every step, and would take what masks are to hide. */
function checkDevices(way: keyof typeof needs): void {
  for (const { path, major, minor } of standardDevices) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isCharacterDevice() === true && found.rdev === major * 256 + minor) continue;
    throw unsupported(way, `a machine where ${path} is not device ${major}:${minor}`);
  }
}

function existingPath(path: string): Host["maskedPaths"] {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? [] : [{ path, isDirectory: found.isDirectory() }];
}

/** Counters of a CPU's thermal events tell neighbours about each other. */
function thermalThrottlePaths(): readonly string[] {
  const cpus = "/sys/devices/system/cpu";
  try {
    return readdirSync(cpus)
      .filter((name) => /^cpu\d+$/.test(name))
      .map((name) => `${cpus}/${name}/thermal_throttle`);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

function detectCgroups(): Host["cgroups"] {
  try {
    return statfsSync("/sys/fs/cgroup").type === cgroup2Magic ? "v2" : "v1";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "none";
    throw error;
  }
}
