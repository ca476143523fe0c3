import type { RootfsMount } from "../../core/index.ts";
import { isFileMount } from "../mount-kind.ts";
import type { SandboxMount } from "../types.ts";
import type { Host } from "../builtin/host.ts";
import type { Op } from "../builtin/ops.ts";
import { openLayers } from "../builtin/open-layers.ts";
import { heldName, openSource } from "../builtin/plan-sources.ts";
import { planStdio, planSupervision, type OutputPlan } from "../builtin/plan-supervision.ts";

export interface RuntimePlanOptions {
  readonly host: Host;
  readonly rootfs: RootfsMount;
  /** Mount attributes of the root filesystem. */
  readonly rootAttributes: number;
  /** Where the runtime is told to find the root filesystem; absolute, without symlinks. */
  readonly rootPath: string;
  /** The runtime's command line; the first word is its absolute path. */
  readonly argv: readonly string[];
  readonly output: OutputPlan;
  /** How many descriptors after the report socket are kept open to the end. */
  readonly kept: number;
  /** Who may open /dev/stdout again. */
  readonly uid: number;
  /** A directory in which only the step's processes see anything: it is a tmpfs. Absolute, without symlinks. */
  readonly privatePath: string;
  /** An empty directory of the host. */
  readonly staging: string;
  /** Written to `config.json` in `privatePath`. */
  readonly config: Uint8Array;
  /** Mounted for the runtime to bind into the container, at paths in `privatePath`. */
  readonly mounts: readonly StagedMount[];
}

/** A mount that the runtime cannot make by itself, or not as exactly. */
export interface StagedMount {
  readonly mount: SandboxMount;
  readonly path: string;
}

/**
 * The mounts to stage. (runc 1.1 gives a tmpfs the mode of the directory below it.)
 */
export function stageMounts(
  mounts: readonly SandboxMount[],
  privatePath: string,
): readonly StagedMount[] {
  return mounts.flatMap((mount, index) =>
    mount.type === "bind" && mount.beneath === undefined
      ? []
      : [{ mount, path: `${privatePath}/mount-${index}` }],
  );
}

/**
 * The builtin sandbox' processes with a runtime between. The runtime mounts nothing on the host, since it has a mount
 * namespace of its own, and its container ends with us, since both live in a PID namespace whose init the supervisor is.
 *
 * The runtime starts the container and leaves: then the container's init is the supervisor's child, its streams are ours
 * and its wait status is the command's. (A runtime that stays copies all output and answers 128 + n for a signal.)
 */
export function planRuntime(options: RuntimePlanOptions): readonly Op[] {
  const { output, kept } = options;
  return planSupervision({ output, kept, supervisor: planSupervisor(options) });
}

/** In a new PID namespace, whose init has 1. */
const firstChildPid = 2;

function planSupervisor(options: RuntimePlanOptions): readonly Op[] {
  return [
    { type: "die-with-parent" },
    // The parent may have died before the line above; then nobody answers here.
    { type: "await-go" },
    { type: "fork", namespaces: ["mount"], child: planRuntimeProcess(options) },
    // A command that is quick can end, and be our child, before the last thread of the runtime has ended.
    { type: "wait-child", pid: firstChildPid, report: false },
    // Fails when the runtime started nothing; its log says why.
    { type: "wait-child", report: true },
    { type: "exit" },
  ];
}

function planRuntimeProcess(options: RuntimePlanOptions): readonly Op[] {
  const { rootfs, host, rootAttributes, rootPath, argv, config: content } = options;
  return [
    ...planStdio(options),
    { type: "umask", mask: 0o022 },
    { type: "make-mounts-private" },
    { type: "mount", filesystem: "tmpfs", ...privateMount, target: options.privatePath },
    ...options.mounts.flatMap((staged) => stageMount(staged, options)),
    { type: "write-file", path: `${options.privatePath}/config.json`, ...privateFile, content },
    openLayers({ rootfs, host, attributes: rootAttributes, as: "root" }),
    { type: "attach", from: "root", target: rootPath, follow: false },
    // runc 1.1 makes links in /dev by name: where an image has a symlink there, it would make them on the host. This
    // mount refuses symlinks, and then it is what the runtime finds.
    mountAt(`${rootPath}/dev`, { filesystem: "tmpfs" }),
    // The runtime finds its container by pids of its own namespace.
    mountAt("/proc", { filesystem: "proc" }),
    { type: "close-descriptors", kept: 0 },
    { type: "exec", paths: argv.slice(0, 1), argv, env: [] },
  ];
}

const privateMount = { options: [["mode", "700"]], attributes: 0, follow: false } as const;
const privateFile = { mode: 0o600, uid: 0, gid: 0 } as const;

/** Attributes are the runtime's business: its bind mount of this sets them. */
function stageMount(
  { mount, path }: StagedMount,
  { host, staging, privatePath }: RuntimePlanOptions,
): readonly Op[] {
  const isFile = isFileMount(mount);
  const place: Op = { type: "make-mount-point", root: privatePath, path, isFile };
  if (mount.type === "tmpfs") {
    const { sizeBytes: size, mode = 0o1777 } = mount;
    const options: [string, string][] = [["mode", mode.toString(8)]];
    if (size !== undefined) options.push(["size", String(size)]);
    return [place, mountAt(path, { filesystem: "tmpfs", options })];
  }
  return [
    ...openSource(mount, { host, staging, attributes: 0 }),
    place,
    { type: "attach", from: heldName(mount), target: path, follow: false },
  ];
}

function mountAt(
  target: string,
  mount: {
    readonly filesystem: string;
    readonly options?: readonly (readonly [string, string])[];
  },
): Op {
  const { filesystem, options = [] } = mount;
  return { type: "mount", filesystem, options, attributes: 0, target, follow: false };
}
