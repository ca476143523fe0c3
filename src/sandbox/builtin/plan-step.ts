import type { NetworkMode, SandboxSpec } from "../types.ts";
import { capabilityMask, defaultCapabilities } from "./capabilities.ts";
import { executablePaths } from "./executable-paths.ts";
import type { Host } from "./host.ts";
import type { Namespace, Op } from "./ops.ts";
import { planMounts } from "./plan-mounts.ts";
import type { OutputPlan } from "./plan-supervision.ts";
import { resourceNumber } from "./resources.ts";
import { planStdio, planSupervision } from "./plan-supervision.ts";

export interface StepPlanOptions {
  readonly spec: SandboxSpec;
  readonly host: Host;
  readonly output: OutputPlan;
  /** A directory of the host that is not needed inside: the new root is attached over it for a moment. */
  readonly staging: string;
  /** Compiled seccomp filter; none when the library is missing or the step is insecure. */
  readonly filter: Uint8Array | undefined;
}

/** Soft limit of open files: what a shell has by default. Programs that loop over all descriptors stay fast. */
const softOpenFiles = 1024;

/** The third process, which becomes the command, is PID 1 of a nested namespace: its user and signals are its own. */
export function planStep(options: StepPlanOptions): readonly Op[] {
  const kept = options.spec.keepOpen?.length ?? 0;
  return planSupervision({ output: options.output, kept, supervisor: planSupervisor(options) });
}

function planSupervisor(options: StepPlanOptions): readonly Op[] {
  const { spec, host } = options;
  return [
    { type: "die-with-parent" },
    // The parent may have died before the line above; then nobody answers here.
    { type: "await-go" },
    { type: "fork", namespaces: namespacesOf(spec.network, host), child: planCommand(options) },
    { type: "wait-child", report: true },
    { type: "exit" },
  ];
}

function namespacesOf(network: NetworkMode, host: Host): readonly Namespace[] {
  return [
    "pid",
    "mount",
    "uts",
    "ipc",
    ...(network === "none" ? (["net"] as const) : []),
    ...(host.cgroups === "v2" ? (["cgroup"] as const) : []),
  ];
}

function planCommand(options: StepPlanOptions): readonly Op[] {
  const { spec } = options;
  return [
    ...planStdio({ output: options.output, uid: spec.user.uid }),
    { type: "setsid" },
    { type: "join-new-keyring" },
    { type: "umask", mask: 0o022 },
    ...planMounts(options),
    { type: "sethostname", hostname: spec.hostname },
    ...(spec.network === "none" ? [{ type: "loopback-up" } as const] : []),
    // Before the working directory: /proc/self/fd/… must not be a way out.
    { type: "close-descriptors", kept: 0 },
    { type: "chdir", path: spec.cwd },
    ...planExec(options),
  ];
}

/** The last of every command: nothing may come between giving up privileges and running it. */
export function planExec(
  options: Pick<StepPlanOptions, "spec" | "host" | "filter">,
): readonly Op[] {
  const { argv, env, secretEnv = [] } = options.spec;
  return [
    ...planLimits(options),
    ...planPrivileges(options),
    { type: "exec", paths: executablePaths(argv, env), argv, env: [...env, ...secretEnv] },
  ];
}

/** What a step may use up. */
function planLimits({ spec, host }: Pick<StepPlanOptions, "spec" | "host">): readonly Op[] {
  const openFiles = {
    name: "nofile",
    soft: Math.min(softOpenFiles, host.maxOpenFiles),
    hard: host.maxOpenFiles,
  };
  return [openFiles, ...(spec.ulimits ?? [])].map(({ name, soft, hard }) => ({
    type: "limit-resource",
    resource: resourceNumber(name),
    soft,
    hard,
  }));
}

/**
 * The filter comes first, since loading it needs CAP_SYS_ADMIN while no_new_privs is off (setuid programs must work);
 * it lets the rest of these calls pass. Changing to a user other than root empties the effective set; what is then set
 * must be a part of it.
 */
function planPrivileges({
  spec,
  host,
  filter,
}: Pick<StepPlanOptions, "spec" | "host" | "filter">): readonly Op[] {
  const { uid, gid, groups } = spec.user;
  const isSandboxed = spec.security === "sandbox";
  const kept = isSandboxed ? capabilityMask(defaultCapabilities) : allCapabilities(host);
  return [
    ...(filter === undefined ? [] : [{ type: "seccomp", filter } as const]),
    // What nobody here can have need not be dropped, which is a privilege in itself.
    {
      type: "bound-capabilities",
      keep: kept | (allCapabilities(host) & ~host.bounding),
      last: host.lastCapability,
    },
    { type: "set-user", uid, gid, groups },
    { type: "set-capabilities", effective: uid === 0 ? kept & host.capabilities : 0n },
  ];
}

function allCapabilities(host: Host): bigint {
  return (1n << BigInt(host.lastCapability + 1)) - 1n;
}
