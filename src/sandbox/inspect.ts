import { accessSync, constants, readFileSync } from "node:fs";
import { isTsbuildError } from "../core/index.ts";
import { capabilityMask, capabilityNames } from "./builtin/capabilities.ts";
import type { RefusedCall } from "./builtin/index.ts";
import { listHierarchies } from "./cgroups/hierarchies.ts";
import { openSandbox } from "./open.ts";

/** What ways to run steps there are for this process, each tried. */
export interface SandboxInspection {
  /** What `auto` takes; undefined when nothing works. */
  readonly rung: "builtin" | "chroot" | undefined;
  /** What the kernel said when namespaces and a mount were tried. */
  readonly refused: RefusedCall | undefined;
  /** Why a chroot does not work either; not asked where namespaces do. */
  readonly chrootRefused:
    { readonly message: string; readonly hint: string | undefined } | undefined;
  /** What would make namespaces and mounts work. */
  readonly knobs: readonly string[];
  /** What `builtin` has and the rung has not. */
  readonly weaker: readonly string[];
  /** `own`: every step gets our filter of system calls; `inherited`: it has that of this container. */
  readonly filter: "own" | "inherited" | "none";
  /** Mount points of control groups that this process may write to. */
  readonly cgroups: readonly string[];
}

/** What a chroot is not; also told by the documentation. */
export const chrootWeaknesses: readonly string[] = [
  "a step that runs as root can leave its tree and reach everything in this container",
  "steps see and may signal the processes of this container",
  "no /proc, /sys or /dev/pts: what reads /proc/self, /dev/stdout or /dev/fd, or opens a terminal, fails",
  "RUN --network=none and volumes to write to are refused; tmpfs mounts have no size",
  "a secret is a file in the step's tree until the step ends",
  "caches that steps share are used by one step after the other",
];

/** @param options `hasLayers`: roots of steps are layers, which only a mount puts together */
export async function inspectSandbox(options: {
  readonly stateDir: string;
  readonly hasLayers: boolean;
}): Promise<SandboxInspection> {
  const { probeNamespaces } = await import("./builtin/index.ts");
  const { stateDir, hasLayers } = options;
  const refused = await probeNamespaces(stateDir);
  const chrootRefused = refused === undefined ? undefined : await whyNoChroot(stateDir);
  const canChroot = refused !== undefined && chrootRefused === undefined && !hasLayers;
  const rung = refused === undefined ? "builtin" : canChroot ? "chroot" : undefined;
  return {
    rung,
    refused,
    chrootRefused,
    knobs: refused === undefined ? [] : knobsFor(refused),
    weaker: rung === "chroot" ? chrootWeaknesses : [],
    filter: await filterOf(rung, stateDir),
    cgroups: (await listHierarchies()).map(({ point }) => point).filter(isWritable),
  };
}

async function whyNoChroot(stateDir: string): Promise<SandboxInspection["chrootRefused"]> {
  try {
    await openSandbox("chroot", { stateDir });
    return undefined;
  } catch (error) {
    if (!isTsbuildError(error, "SANDBOX_UNAVAILABLE")) throw error;
    return { message: error.message, hint: error.hint };
  }
}

/**
 * Who refused is told by the call and its errno: without the capability nothing else matters; with it, filters of system
 * calls answer EPERM, and security modules, which know paths, EACCES.
 */
function knobsFor({ syscall, errno }: RefusedCall): readonly string[] {
  if (process.getuid?.() !== 0) {
    return ["run as root; a way without root, by user namespaces, is not there yet"];
  }
  if (!hasCapability("CAP_SYS_ADMIN")) {
    return [
      "docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined, or --privileged",
      "Kubernetes: securityContext.capabilities.add: [SYS_ADMIN]",
    ];
  }
  if (errno === "EACCES") return ["docker run --security-opt apparmor=unconfined"];
  if (errno === "ENOSPC") return ["raise user.max_mnt_namespaces and user.max_pid_namespaces"];
  const profile = "docker run --security-opt seccomp=unconfined";
  return syscall === "clone" || isFiltered() ? [profile] : ["docker run --privileged"];
}

async function filterOf(
  rung: SandboxInspection["rung"],
  stateDir: string,
): Promise<SandboxInspection["filter"]> {
  if (rung === "builtin" || hasCapability("CAP_SYS_ADMIN")) {
    const { readHost } = await import("./builtin/host.ts");
    const { loadSeccompFilter } = await import("./builtin/seccomp-filter.ts");
    const host = readHost();
    const filter = loadSeccompFilter({ host, stateDir, cacheDir: stateDir });
    if (filter !== undefined) return "own";
  }
  return isFiltered() ? "inherited" : "none";
}

function statusOf(field: string): string {
  const text = readFileSync("/proc/self/status", "utf8");
  return new RegExp(`^${field}:\\s*(\\S+)$`, "m").exec(text)?.[1] ?? "0";
}

function isFiltered(): boolean {
  return statusOf("Seccomp") === "2";
}

function hasCapability(name: "CAP_SYS_ADMIN"): boolean {
  return (BigInt(`0x${statusOf("CapEff")}`) & capabilityMask([name])) !== 0n;
}

/** Capabilities of this process that take effect. */
export function effectiveCapabilities(): readonly string[] {
  return capabilityNames(BigInt(`0x${statusOf("CapEff")}`));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
