import { capabilityNames, defaultCapabilities } from "../builtin/capabilities.ts";
import type { Host } from "../builtin/host.ts";
import type { SandboxSpec } from "../types.ts";
import { makeRuntimeSeccomp } from "./make-seccomp.ts";
import type {
  RuntimeConfig,
  RuntimeLinux,
  RuntimeMount,
  RuntimeProcess,
} from "./runtime-config.ts";

const defaultShmSize = 64 * 1024 * 1024;
/** Soft limit of open files: what a shell has by default. */
const softOpenFiles = 1024;
const inert = ["nosuid", "noexec", "nodev"];

export interface ConfigRequest {
  readonly spec: SandboxSpec;
  readonly host: Host;
  /** Where the runtime finds the root filesystem. */
  readonly rootPath: string;
  /** Relative: below the runtime's own cgroup, so that limits of tsbuild hold for the step. */
  readonly cgroupsPath: string;
  /** Where each tmpfs of the step, by its target, is already mounted. */
  readonly tmpfsPaths: ReadonlyMap<string, string>;
}

/** The config.json of one step: the same defaults as the builtin sandbox has. */
export function makeRuntimeConfig(request: ConfigRequest): RuntimeConfig {
  const { spec, rootPath } = request;
  return {
    ociVersion: "1.0.2",
    hostname: spec.hostname,
    root: { path: rootPath, readonly: isReadOnly(spec) },
    process: makeProcess(request),
    mounts: [...standardMounts(request), ...makeMounts(request)],
    linux: makeLinux(request),
  };
}

function makeProcess({ spec, host }: ConfigRequest): RuntimeProcess {
  const { uid, gid, groups } = spec.user;
  const bounding =
    spec.security === "insecure" ? capabilityNames(host.capabilities) : defaultCapabilities;
  // As execve would leave it; runtimes themselves keep whatever they are told.
  const held = uid === 0 ? bounding : [];
  const [soft, hard] = [Math.min(softOpenFiles, host.maxOpenFiles), host.maxOpenFiles];
  return {
    terminal: false,
    user: { uid, gid, umask: 0o022, additionalGids: groups },
    args: spec.argv,
    env: spec.env,
    cwd: spec.cwd,
    capabilities: { bounding, permitted: held, effective: held, inheritable: [], ambient: [] },
    rlimits: [{ type: "RLIMIT_NOFILE", soft, hard }],
    noNewPrivileges: false,
  };
}

function makeLinux({ spec, host, cgroupsPath }: ConfigRequest): RuntimeLinux {
  const namespaces = ["pid", "mount", "ipc", "uts"];
  if (spec.network === "none") namespaces.push("network");
  if (host.cgroups === "v2") namespaces.push("cgroup");
  const base = { namespaces: namespaces.map((type) => ({ type })), cgroupsPath };
  if (spec.security === "insecure") {
    const devices = [{ allow: true, access: "rwm" }];
    return { ...base, resources: { devices }, maskedPaths: [], readonlyPaths: [] };
  }
  const devices = [
    { allow: false, access: "rwm" },
    // Packages may make nodes. Opening them is another matter; the runtime lets /dev/null and its like pass.
    { allow: true, type: "c", access: "m" },
    { allow: true, type: "b", access: "m" },
  ] as const;
  return {
    ...base,
    resources: { devices },
    maskedPaths: host.maskedPaths.map(({ path }) => path),
    readonlyPaths: host.readOnlyPaths,
    seccomp: makeRuntimeSeccomp(host.arch),
  };
}

function standardMounts({ spec, host }: ConfigRequest): readonly RuntimeMount[] {
  const access = spec.security === "insecure" ? "rw" : "ro";
  const shm = ["mode=1777", `size=${spec.shmSize ?? defaultShmSize}`];
  const pts = ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
  const mounts = [
    mountOf("/proc", "proc", inert),
    mountOf("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    mountOf("/dev/pts", "devpts", ["nosuid", "noexec", ...pts]),
    mountOf("/dev/shm", "tmpfs", [...inert, ...shm]),
    mountOf("/dev/mqueue", "mqueue", inert),
    mountOf("/sys", "sysfs", [...inert, access]),
  ];
  if (host.cgroups === "none") return mounts;
  return [...mounts, mountOf("/sys/fs/cgroup", "cgroup", [...inert, access])];
}

function mountOf(destination: string, type: string, options: readonly string[]): RuntimeMount {
  return { destination, type, source: type, options };
}

function makeMounts({ spec, tmpfsPaths }: ConfigRequest): readonly RuntimeMount[] {
  const flags = spec.security === "insecure" ? [] : ["nodev"];
  return [...spec.mounts]
    .sort((a, b) => compareTargets(a.target, b.target))
    .map((mount) => {
      if (mount.type === "bind") return bindMount(mount, flags);
      const { target, readOnly = false } = mount;
      // runc 1.1 gives a tmpfs the mode of the directory below it.
      const source = tmpfsPaths.get(target) ?? "tmpfs";
      return bindMount({ source, target, readOnly }, ["nosuid", ...flags]);
    });
}

/** Parents before what lies in them. */
function compareTargets(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function bindMount(
  mount: { readonly source: string; readonly target: string; readonly readOnly: boolean },
  flags: readonly string[],
): RuntimeMount {
  // `ro` alone would leave the mounts below the source writable.
  const access = mount.readOnly ? ["ro", "rro"] : ["rw"];
  const options = ["rbind", "rprivate", ...flags, ...access];
  return { destination: mount.target, type: "bind", source: mount.source, options };
}

function isReadOnly({ rootfs, readOnlyRootfs = false }: SandboxSpec): boolean {
  if (readOnlyRootfs) return true;
  return rootfs.type === "directory" ? rootfs.readOnly : rootfs.upper === undefined;
}
