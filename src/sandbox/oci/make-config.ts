import { capabilityNames, defaultCapabilities } from "../builtin/capabilities.ts";
import { listFurtherDevices } from "../builtin/host-devices.ts";
import type { Host } from "../builtin/host.ts";
import type { CgroupSpec, SandboxMount, SandboxSpec } from "../types.ts";
import { makeRuntimeSeccomp } from "./make-seccomp.ts";
import type {
  RuntimeConfig,
  RuntimeLimit,
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
  /** Where those mounts of the step, by target, are that we have made already. */
  readonly stagedPaths: ReadonlyMap<string, string>;
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
  // By name, since runtimes refuse a limit that is given twice.
  const limits = Array.from(
    new Map(
      [{ name: "nofile", soft, hard }, ...(spec.ulimits ?? [])].map((one) => [one.name, one]),
    ),
    ([name, limit]): RuntimeLimit => ({
      type: `RLIMIT_${name.toUpperCase()}`,
      soft: limit.soft < 0 ? "unlimited" : limit.soft,
      hard: limit.hard < 0 ? "unlimited" : limit.hard,
    }),
  );
  return {
    terminal: false,
    user: { uid, gid, umask: 0o022, additionalGids: groups },
    args: spec.argv,
    env: [...spec.env, ...(spec.secretEnv ?? [])],
    cwd: spec.cwd,
    capabilities: { bounding, permitted: held, effective: held, inheritable: [], ambient: [] },
    rlimits: limits,
    noNewPrivileges: false,
  };
}

function makeLinux({ spec, host, cgroupsPath }: ConfigRequest): RuntimeLinux {
  const namespaces = ["pid", "mount", "ipc", "uts"];
  if (spec.network === "none") namespaces.push("network");
  if (host.cgroups === "v2") namespaces.push("cgroup");
  const base = { namespaces: namespaces.map((type) => ({ type })), cgroupsPath };
  const limits = limitsOf(spec.cgroup ?? {});
  if (spec.security === "insecure") {
    return {
      ...base,
      resources: { ...limits, devices: [{ allow: true, access: "rwm" }] },
      devices: listFurtherDevices().map(({ mode, ...device }) => ({ ...device, fileMode: mode })),
      maskedPaths: [],
      readonlyPaths: [],
    };
  }
  const devices = [
    { allow: false, access: "rwm" },
    // Packages may make nodes. Opening them is another matter; the runtime lets /dev/null and its like pass.
    { allow: true, type: "c", access: "m" },
    { allow: true, type: "b", access: "m" },
  ] as const;
  return {
    ...base,
    resources: { ...limits, devices },
    maskedPaths: host.maskedPaths.map(({ path }) => path),
    readonlyPaths: host.readOnlyPaths,
    seccomp: makeRuntimeSeccomp(host.arch),
  };
}

function limitsOf(cgroup: CgroupSpec): Pick<RuntimeLinux["resources"], "memory" | "cpu"> {
  const { memory: limit, memorySwap: swap } = cgroup;
  const { cpuShares: shares, cpuPeriod: period, cpuQuota: quota } = cgroup;
  const { cpusetCpus: cpus, cpusetMems: mems } = cgroup;
  // Members that are undefined do not get into the JSON text.
  return { memory: { limit, swap }, cpu: { shares, period, quota, cpus, mems } };
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

function makeMounts({ spec, stagedPaths }: ConfigRequest): readonly RuntimeMount[] {
  const flags = spec.security === "insecure" ? [] : ["nodev"];
  return [...spec.mounts]
    .sort((a, b) => compareTargets(a.target, b.target))
    .map((mount) => {
      const { target } = mount;
      const staged = stagedPaths.get(target);
      const source = mount.type === "bind" ? (staged ?? mount.source) : (staged ?? mount.type);
      const readOnly = mount.type === "secret" || mount.readOnly === true;
      return bindMount({ source, target, readOnly }, [...flagsOf(mount), ...flags]);
    });
}

function flagsOf(mount: SandboxMount): readonly string[] {
  switch (mount.type) {
    case "tree":
      return [];
    case "tmpfs":
      return ["nosuid"];
    case "bind":
      return mount.noExec === true ? ["noexec"] : [];
    case "secret":
      return ["nosuid", ...((mount.mode & 0o111) === 0 ? ["noexec"] : [])];
  }
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

/**
 * The text of config.json. The runtime spec has no word for unlimited but 2^64 - 1, which is no number of JavaScript's.
 * Within strings quotes are escaped, so that only the limits themselves look like this.
 */
export function serializeConfig(config: RuntimeConfig): string {
  return JSON.stringify(config).replaceAll(
    /"(soft|hard)":"unlimited"/g,
    '"$1":18446744073709551615',
  );
}
