import { isFileMount } from "../mount-kind.ts";
import type { SandboxMount, SandboxSpec } from "../types.ts";
import type { Host } from "./host.ts";
import { listFurtherDevices } from "./host-devices.ts";
import { mountAttribute } from "./linux.ts";
import { openLayers } from "./open-layers.ts";
import type { Op } from "./ops.ts";
import { heldName, openSource } from "./plan-sources.ts";
import { standardDeviceLinks, standardDevices } from "./standard-paths.ts";

const { readOnly, noSuid, noDev, noExec, strictAtime } = mountAttribute;
const inert = noSuid | noDev | noExec;
const defaultShmSize = 64 * 1024 * 1024;

/** Where cgroups are mounted on the host and inside. */
const cgroupDirectory = "/sys/fs/cgroup";

export interface MountPlanOptions {
  readonly spec: SandboxSpec;
  readonly host: Host;
  readonly staging: string;
}

/**
 * From the host's mounts to the step's own. Everything of the host is opened first and attached after the root has
 * changed, so no path of the image is ever looked up on the host, and no path of the host inside.
 *
 * Sandboxed steps keep CAP_MKNOD, and there is no device control group: so all their mounts are `nodev`, and the few
 * devices that they may use are bound one by one.
 */
export function planMounts({ spec, host, staging }: MountPlanOptions): readonly Op[] {
  const isSandboxed = spec.security === "sandbox";
  const devices = isSandboxed ? noDev : 0;
  const mounts = [...spec.mounts].sort((a, b) => compareTargets(a.target, b.target));
  return [
    { type: "make-mounts-private" },
    ...mounts.flatMap((mount) => openSource(mount, { host, staging, attributes: devices })),
    ...devicesOf(spec.security).map(openDevice),
    ...openCgroups(host, isSandboxed),
    openLayers({
      rootfs: spec.rootfs,
      host,
      attributes: devices | (spec.readOnlyRootfs ? readOnly : 0),
      as: "root",
    }),
    { type: "pivot-root", root: "root", staging },
    filesystem("proc", { target: "/proc", attributes: inert }),
    filesystem("sysfs", { target: "/sys", attributes: inert | (isSandboxed ? readOnly : 0) }),
    ...mountCgroups(host, isSandboxed),
    ...planDevices({
      attributes: noSuid | strictAtime | devices,
      shmSize: spec.shmSize,
      paths: devicesOf(spec.security),
    }),
    ...(isSandboxed ? planMasks(host) : []),
    ...mounts.flatMap((mount, index) => [
      ...makeMountPoint(mount, mounts.slice(0, index)),
      attachMount(mount, devices),
    ]),
  ];
}

/** The device nodes that a step sees. */
function devicesOf(security: SandboxSpec["security"]): readonly string[] {
  const standard = standardDevices.map(({ path }): string => path);
  if (security === "sandbox") return standard;
  return [...standard, ...listFurtherDevices().map(({ path }) => path)];
}

/**
 * What lies below /dev, which is ours and empty, or below another mount has no mount point that could have been made
 * before. The nearest such place is where it begins.
 */
function makeMountPoint(mount: SandboxMount, mounts: readonly SandboxMount[]): readonly Op[] {
  const { target } = mount;
  const root = ["/dev", ...mounts.map((other) => other.target)].findLast((place) =>
    target.startsWith(`${place}/`),
  );
  if (root === undefined) return [];
  return [{ type: "make-mount-point", root, path: target, isFile: isFileMount(mount) }];
}

/** Parents before what lies in them. */
function compareTargets(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function attachMount(mount: SandboxMount, devices: number): Op {
  if (mount.type !== "tmpfs") {
    return { type: "attach", from: heldName(mount), target: mount.target, follow: true };
  }
  const options: [string, string][] = [["mode", (mount.mode ?? 0o1777).toString(8)]];
  if (mount.sizeBytes !== undefined) options.push(["size", String(mount.sizeBytes)]);
  return {
    type: "mount",
    filesystem: "tmpfs",
    options,
    attributes: noSuid | devices | (mount.readOnly === true ? readOnly : 0),
    target: mount.target,
    follow: true,
  };
}

/** The host's own nodes: making new ones is not allowed everywhere, and these are known to be real. */
function openDevice(path: string): Op {
  const attributes = noSuid | noExec;
  return { type: "open-tree", source: path, recursive: false, attributes, as: `device ${path}` };
}

function openCgroups(host: Host, isSandboxed: boolean): readonly Op[] {
  if (host.cgroups !== "v1") return [];
  const attributes = inert | (isSandboxed ? readOnly : 0);
  return [
    { type: "open-tree", source: cgroupDirectory, recursive: true, attributes, as: "cgroups" },
  ];
}

function mountCgroups(host: Host, isSandboxed: boolean): readonly Op[] {
  switch (host.cgroups) {
    case "none":
      return [];
    case "v1":
      return [{ type: "attach", from: "cgroups", target: cgroupDirectory, follow: false }];
    case "v2": {
      const attributes = inert | (isSandboxed ? readOnly : 0);
      return [filesystem("cgroup2", { target: cgroupDirectory, attributes })];
    }
  }
}

function filesystem(
  name: string,
  mount: {
    readonly target: string;
    readonly attributes: number;
    readonly options?: Readonly<Record<string, string>>;
  },
): Op {
  return {
    type: "mount",
    filesystem: name,
    options: Object.entries(mount.options ?? {}),
    attributes: mount.attributes,
    target: mount.target,
    follow: false,
  };
}

function planDevices(dev: {
  readonly attributes: number;
  readonly shmSize: number | undefined;
  readonly paths: readonly string[];
}): readonly Op[] {
  const devOptions = { mode: "755", size: "65536k" };
  const shmOptions = { mode: "1777", size: String(dev.shmSize ?? defaultShmSize) };
  // Group 5 is tty in every distribution; grantpt(3) expects it.
  const ptsOptions = { ptmxmode: "0666", mode: "0620", gid: "5" };
  return [
    filesystem("tmpfs", { target: "/dev", attributes: dev.attributes, options: devOptions }),
    ...dev.paths.flatMap((path): Op[] => [
      { type: "make-mount-point", root: "/dev", path, isFile: true },
      { type: "attach", from: `device ${path}`, target: path, follow: false },
    ]),
    ...["/dev/pts", "/dev/shm", "/dev/mqueue"].map((path): Op => ({
      type: "mkdir",
      path,
      mode: 0o755,
    })),
    filesystem("devpts", {
      target: "/dev/pts",
      attributes: noSuid | noExec,
      options: ptsOptions,
    }),
    filesystem("tmpfs", { target: "/dev/shm", attributes: inert, options: shmOptions }),
    filesystem("mqueue", { target: "/dev/mqueue", attributes: inert }),
    ...standardDeviceLinks.map((link): Op => ({ type: "symlink", ...link })),
  ];
}

function planMasks(host: Host): readonly Op[] {
  return [
    ...host.readOnlyPaths.map((path): Op => ({ type: "make-read-only", target: path })),
    ...host.maskedPaths.flatMap(({ path, isDirectory }): Op[] =>
      isDirectory
        ? [filesystem("tmpfs", { target: path, attributes: inert | readOnly })]
        : maskFile(path),
    ),
  ];
}

function maskFile(path: string): Op[] {
  const as = `mask ${path}`;
  return [
    { type: "open-tree", source: "/dev/null", recursive: false, attributes: 0, as },
    { type: "attach", from: as, target: path, follow: false },
  ];
}
