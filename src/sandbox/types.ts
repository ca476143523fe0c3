import type { RootfsMount } from "../core/index.ts";

/** A user as numbers; names are resolved by `users.ts` inside the root filesystem, never on the host. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups; always contains `gid` (CVE-2022-36109). */
  readonly groups: readonly number[];
  /** Home directory of the passwd entry, or `/`. */
  readonly home: string;
}

/** What is mounted into the root filesystem beside the standard set. `target` is absolute, inside the root. */
export type SandboxMount =
  | {
      readonly type: "bind";
      /** Absolute path of the host. */
      readonly source: string;
      /**
       * Path below directory `source`, looked up when the step starts; symlinks that lead out of it fail, so others may
       * write there. The default is `source` itself.
       */
      readonly beneath?: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly noExec?: boolean;
      /**
       * Nobody else looks at the source while the step runs. Where there are no mounts, it is moved into the root for as
       * long, and where it came from is written to a file `away-…` in this folder of the host meanwhile.
       */
      readonly movedBy?: string;
    }
  | {
      /** A path of a root filesystem that is mounted for this alone. */
      readonly type: "tree";
      readonly rootfs: RootfsMount;
      /** Absolute, inside that root, without symlinks. */
      readonly path: string;
      readonly isFile: boolean;
      readonly target: string;
      readonly readOnly: boolean;
    }
  | {
      /** A read-only file that only memory holds, also on our side of the wall. */
      readonly type: "secret";
      readonly content: Uint8Array;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      /** Permission bits of its root, 0o1777 unless given. */
      readonly mode?: number;
      readonly readOnly?: boolean;
    };

/** `name` as in prlimit(1): `nofile`, `nproc` …; -1 is unlimited. */
export interface ResourceLimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface CgroupSpec {
  /** Absolute path below the root of every hierarchy. */
  readonly parent?: string | undefined;
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Bytes of memory and swap together; -1 is unlimited. */
  readonly memorySwap?: number | undefined;
  /** Relative weight, 2 to 262144. */
  readonly cpuShares?: number | undefined;
  /** Microseconds. */
  readonly cpuPeriod?: number | undefined;
  /** Microseconds of each period. */
  readonly cpuQuota?: number | undefined;
  /** Lists such as `0-2,4`. */
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
}

export type NetworkMode = "none" | "host";

/** One process to run in isolation: everything is resolved, nothing is looked up on the way. */
export interface SandboxSpec {
  readonly rootfs: RootfsMount;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** Further variables, which no disk is to see. */
  readonly secretEnv?: readonly string[] | undefined;
  /** Absolute, inside the root; must exist. */
  readonly cwd: string;
  readonly user: ResolvedUser;
  readonly hostname: string;
  readonly network: NetworkMode;
  /**
   * Mounted in order of target, on top of the standard ones (/proc, /dev, /sys …). Targets exist in the root: the
   * caller provides stubs by means of `rootfs` (see snapshot/skeleton), except below /dev and below other mounts, where
   * the sandbox makes them. Symlinks in a target resolve inside the root.
   */
  readonly mounts: readonly SandboxMount[];
  /** Size of /dev/shm in bytes. */
  readonly shmSize?: number | undefined;
  /** Limits of resources beside open files, whose default is a soft limit of 1024. */
  readonly ulimits?: readonly ResourceLimit[] | undefined;
  /** Where the step's control group is made, and what it is limited to; by default the step stays in ours. */
  readonly cgroup?: CgroupSpec | undefined;
  /** Whether the result is to tell what the step took, where the machine can. */
  readonly isMeasured?: boolean | undefined;
  /**
   * Descriptors of ours, such as locks, of which a copy stays open until no process of the step is left, also when we
   * are killed. The command does not have them.
   */
  readonly keepOpen?: readonly number[] | undefined;
  /** Root filesystem read-only (mounts stay as they say). */
  readonly readOnlyRootfs?: boolean;
  /** `insecure` lifts capabilities, seccomp, masks and device limits (`RUN --security=insecure`). */
  readonly security: "sandbox" | "insecure";
}

/** A process in a sandbox, from outside. */
export interface RunningCommand {
  /** Sends a signal. Before the command runs, and after its end, nothing happens. */
  signal(name: NodeJS.Signals): void;
}

/** Where the process' streams go. */
export interface SandboxStdio {
  /** `null`: /dev/null. `inherit`: tsbuild's own. */
  readonly stdin: "null" | "inherit";
  /** `inherit` hands over tsbuild's own stdout and stderr; a function receives chunks as they come. */
  readonly output: "inherit" | ((stream: "stdout" | "stderr", bytes: Buffer) => void);
  /** Called once when the process is being started, with a way to reach it while it runs. */
  readonly onStart?: ((command: RunningCommand) => void) | undefined;
}

/**
 * How it ended. Exactly one of `exitCode` and `signal` is set. A process that could not be started is not a result but
 * an error (SANDBOX_*), except that `exec` failures carry Docker's 126 / 127 in `details.exitCode`.
 */
export interface SandboxResult {
  readonly exitCode?: number;
  /** Signal name, for example "SIGKILL". */
  readonly signal?: string;
  readonly durationMs: number;
  /** Only where it was asked for and its control group tells. */
  readonly usage?: SandboxUsage;
}

/** What all processes of a step took together. */
export interface SandboxUsage {
  /** Bytes that they held at the most, the file cache that they filled among them. */
  readonly peakMemory?: number;
  /** Milliseconds of all cores. */
  readonly cpuMs?: number;
}

/**
 * Runs processes in isolated root filesystems.
 *
 * ```ts
 * const sandbox = await openSandbox("auto", { stateDir });
 * const result = await sandbox.run(spec, { stdin: "null", output: onChunk }, signal);
 * ```
 *
 * Promises: when `run` settles, no process of the step lives and no mount of it exists; aborting `signal` kills the
 * whole step and rejects with CANCELED; when tsbuild itself dies (kill -9), the step dies with it. Several `run` calls
 * may be under way at once.
 */
export interface Sandbox {
  readonly kind: "builtin" | "oci" | "chroot";
  run(spec: SandboxSpec, stdio: SandboxStdio, signal?: AbortSignal): Promise<SandboxResult>;
}
