/**
 * The part of a runtime-spec `config.json` that is used here.
 * @see OCI runtime spec, config.md and config-linux.md
 */
export interface RuntimeConfig {
  readonly ociVersion: string;
  readonly hostname: string;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly process: RuntimeProcess;
  readonly mounts: readonly RuntimeMount[];
  readonly linux: RuntimeLinux;
}

export interface RuntimeProcess {
  readonly terminal: boolean;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly umask: number;
    readonly additionalGids: readonly number[];
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<CapabilitySet, readonly string[]>>;
  readonly rlimits: readonly RuntimeLimit[];
  readonly noNewPrivileges: boolean;
}

export interface RuntimeLimit {
  readonly type: string;
  readonly soft: number | "unlimited";
  readonly hard: number | "unlimited";
}

export type CapabilitySet = "bounding" | "permitted" | "effective" | "inheritable" | "ambient";

export interface RuntimeMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface RuntimeLinux {
  readonly namespaces: readonly { readonly type: string }[];
  readonly cgroupsPath: string;
  readonly resources: {
    readonly memory?: { readonly limit: number | undefined; readonly swap: number | undefined };
    readonly cpu?: {
      readonly shares: number | undefined;
      readonly period: number | undefined;
      readonly quota: number | undefined;
      readonly cpus: string | undefined;
      readonly mems: string | undefined;
    };
    readonly devices: readonly {
      readonly allow: boolean;
      readonly type?: "b" | "c";
      readonly access: string;
    }[];
  };
  /** Made in /dev beside those that every container has. */
  readonly devices?: readonly {
    readonly path: string;
    readonly type: "c" | "b";
    readonly major: number;
    readonly minor: number;
    readonly fileMode: number;
    readonly uid: number;
    readonly gid: number;
  }[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly seccomp?: RuntimeSeccomp;
}

export interface RuntimeSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args: readonly {
      readonly index: number;
      readonly value: number;
      readonly valueTwo?: number;
      readonly op: string;
    }[];
  }[];
}
