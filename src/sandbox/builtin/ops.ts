/**
 * What a step program does, one op a line of intent. A plan (`plan-step.ts`) makes a list of them, `lower-ops.ts` turns
 * each into system calls, `describe-op.ts` names it in an error. Everything is data: a plan can be printed and compared.
 *
 * Descriptors that live longer than one op have names ("root", "mount /cache"); lowering gives them numbers.
 */
export type Op =
  /** The kernel kills this process when its parent dies. */
  | { readonly type: "die-with-parent" }
  | { readonly type: "setsid" }
  | { readonly type: "join-new-keyring" }
  /**
   * Closes every descriptor beside stdio, the report socket, which the command will not inherit, and the `kept` ones
   * that come next.
   */
  | { readonly type: "close-descriptors"; readonly kept: number }
  /** A pipe whose ends are named `<name> read` and `<name> write`. */
  | { readonly type: "pipe"; readonly name: string }
  /** Makes the held descriptor `from` the process' stdin (0), stdout (1) or stderr (2). */
  | { readonly type: "use-as-stdio"; readonly from: string; readonly fd: 0 | 1 | 2 }
  /** Gives stdout or stderr to `uid`, so that opening /dev/stdout works after the user changes. */
  | { readonly type: "own-stdio"; readonly fd: 1 | 2; readonly uid: number }
  /** A child in new namespaces; `pidfd` names a descriptor of the child that the parent keeps. */
  | {
      readonly type: "fork";
      readonly namespaces: readonly Namespace[];
      readonly pidfd?: string;
      readonly child: readonly Op[];
    }
  /** Tells the parent that the supervisor lives, and waits for its word; exits when it went away. */
  | { readonly type: "await-go" }
  /** Orphans among what this process has started become its children. */
  | { readonly type: "adopt-orphans" }
  /** Kills all children, and the orphans that "adopt-orphans" makes of theirs, until none is left. */
  | { readonly type: "end-children" }
  /** Waits for the process of `pidfd`, ends all children, and then tells the parent how that process ended. */
  | { readonly type: "conclude"; readonly pidfd: string }
  /** Waits until the parent closes the report socket, or only its half, or the process of `pidfd` ends. */
  | { readonly type: "await-hangup"; readonly pidfd: string }
  | { readonly type: "kill"; readonly pidfd: string }
  /** Waits for the one child, or for child `pid` among several; `report` sends its wait status to the parent. */
  | { readonly type: "wait-child"; readonly report: boolean; readonly pid?: number }
  | { readonly type: "exit" }
  /** No mount made here is seen elsewhere, and the other way round. */
  | { readonly type: "make-mounts-private" }
  /** A detached copy of the mounts at `source`, or at the path `beneath` it, held under `as`. */
  | {
      readonly type: "open-tree";
      readonly source: string;
      /** Relative; no symlink on the way leads out of `source`. */
      readonly beneath?: string;
      readonly recursive: boolean;
      readonly attributes: number;
      readonly as: string;
    }
  /** A detached overlay, held under `as`. */
  | ({
      readonly type: "open-overlay";
      readonly attributes: number;
      readonly as: string;
    } & OverlayLayers)
  /** Attaches the held mount `from`. `follow`: symlinks on the way may be followed, except magic ones of /proc. */
  | {
      readonly type: "attach";
      readonly from: string;
      readonly target: string;
      readonly follow: boolean;
    }
  /** A new filesystem, attached at `target`. */
  | {
      readonly type: "mount";
      readonly filesystem: string;
      readonly options: readonly (readonly [key: string, value: string])[];
      readonly attributes: number;
      readonly target: string;
      readonly follow: boolean;
    }
  /** Takes the topmost mount off `target`; what is held of it stays. */
  | { readonly type: "unmount"; readonly target: string }
  /** A second, read-only view of `target` on top of itself. */
  | { readonly type: "make-read-only"; readonly target: string }
  /** A directory becomes the root, without any mount. */
  | { readonly type: "change-root"; readonly path: string }
  /** A file of the host is opened, to be held under `as`. */
  | { readonly type: "hold-file"; readonly path: string; readonly as: string }
  /** The held file loses its content, wherever it is by now. */
  | { readonly type: "empty-file"; readonly held: string }
  /** Makes the held mount `root` the root filesystem and lets go of the old one; `staging` is a directory outside. */
  | { readonly type: "pivot-root"; readonly root: string; readonly staging: string }
  | { readonly type: "mkdir"; readonly path: string; readonly mode: number }
  /**
   * Something to attach a mount at, with missing directories between `root` and `path`; what exists stays. Symlinks may
   * be followed, except magic ones of /proc.
   */
  | {
      readonly type: "make-mount-point";
      readonly root: string;
      readonly path: string;
      readonly isFile: boolean;
    }
  /** A new file of exactly these looks. */
  | {
      readonly type: "write-file";
      readonly path: string;
      readonly content: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: "symlink"; readonly path: string; readonly target: string }
  | { readonly type: "chdir"; readonly path: string }
  | { readonly type: "umask"; readonly mask: number }
  | { readonly type: "sethostname"; readonly hostname: string }
  | { readonly type: "loopback-up" }
  /** `resource` is a number of getrlimit(2); -1 is unlimited. */
  | {
      readonly type: "limit-resource";
      readonly resource: number;
      readonly soft: number;
      readonly hard: number;
    }
  /** Classic BPF, eight bytes an instruction. Needs CAP_SYS_ADMIN, since no_new_privs stays off. */
  | { readonly type: "seccomp"; readonly filter: Uint8Array }
  /** Drops everything but `keep` from the bounding set and clears the ambient one. */
  | { readonly type: "bound-capabilities"; readonly keep: bigint; readonly last: number }
  | {
      readonly type: "set-user";
      readonly uid: number;
      readonly gid: number;
      readonly groups: readonly number[];
    }
  /** Permitted and effective become `effective`, inheritable becomes empty. */
  | { readonly type: "set-capabilities"; readonly effective: bigint }
  /** Becomes the command: tries each path as execvp does. */
  | {
      readonly type: "exec";
      readonly paths: readonly string[];
      readonly argv: readonly string[];
      readonly env: readonly string[];
    };

export type Namespace = "pid" | "mount" | "uts" | "ipc" | "net" | "cgroup";

export interface OverlayLayers {
  /** Top first. */
  readonly lower: readonly string[];
  readonly writable?: { readonly upper: string; readonly work: string } | undefined;
  /**
   * `layers`: each lower directory is added by itself (`lowerdir+`, Linux 6.7). `string`: all of them in one option
   * string of at most a page, as names relative to their nearest shared parent.
   */
  readonly interface: "layers" | "string";
}

export type OpOf<Type extends Op["type"]> = Extract<Op, { readonly type: Type }>;
