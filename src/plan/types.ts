import type { ChainId, Digest, GitReference, Platform, SourceLocation } from "../core/index.ts";
import type { ArgInstruction, Linter } from "../dockerfile/index.ts";
import type { ExecConfig, HistoryEntry, ImageConfig } from "../image/index.ts";

/**
 * What a build will do, as plain ordered data: printing it is `tsbuild graph`, hashing a vertex is half of its cache
 * key. Contains only what the target reaches. `vertices` is in topological order: inputs come before users.
 */
export interface Plan {
  readonly vertices: readonly Vertex[];
  /** One per target platform. */
  readonly targets: readonly PlanTarget[];
  /**
   * SOURCE_DATE_EPOCH as it was resolved, in seconds: the time of everything that the build dates itself. Absent when
   * nobody asked for one.
   */
  readonly sourceDateEpoch?: number;
  readonly warnings: readonly PlanWarning[];
}

export type VertexId = number;

export interface Vertex {
  /** Position in `Plan.vertices`. */
  readonly id: VertexId;
  readonly op: Op;
  /** Vertices whose result the op reads. By op: see each Op. */
  readonly inputs: readonly VertexId[];
  /** `[builder 2/4] RUN make`. */
  readonly name: string;
  /** Of the instruction; absent for the context and the like. */
  readonly location?: SourceLocation;
  /** Runs again whatever the cache says, with emptied cache mounts. Set on RUN, COPY and ADD alone. */
  readonly ignoreCache?: true;
}

export type Op =
  ImageOp | ScratchOp | ContextOp | HttpOp | GitOp | ExecOp | CopyOp | MergeOp | MkdirOp;

/** A base image, already resolved to exact content; its files are fetched only when something reads them. */
export interface ImageOp {
  readonly type: "image";
  /** Normalised reference as the Dockerfile means it. */
  readonly reference: string;
  readonly platform: Platform;
  /** Image ID (config digest). */
  readonly imageId: Digest;
  /** undefined for an image without layers. */
  readonly chainId: ChainId | undefined;
}

/** The empty root. */
export interface ScratchOp {
  readonly type: "scratch";
}

/** The main build context, or a named one. */
export interface ContextOp {
  readonly type: "context";
  /** `context` for the main one. */
  readonly name: string;
}

/** A file behind a URL: one file named `fileName` in an otherwise empty root. */
export interface HttpOp {
  readonly type: "http";
  readonly url: string;
  readonly fileName: string;
  readonly checksum?: Digest;
}

/** The files of a git repository, or of one folder in it, at the commit that a ref stands for. */
export interface GitOp extends GitReference {
  readonly type: "git";
}

/** A RUN step. inputs[0] is the root filesystem; mounts may name further inputs. */
export interface ExecOp {
  readonly type: "exec";
  readonly argv: readonly string[];
  /** `KEY=value` in order: stage ENV and set ARGs. */
  readonly env: readonly string[];
  /** Environment that does not enter the cache key (proxies). */
  readonly uncachedEnv: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** As written in USER; empty for root. */
  readonly user: string;
  readonly network: "default" | "none" | "host";
  readonly security: "sandbox" | "insecure";
  readonly platform: Platform;
  readonly mounts: readonly ExecMount[];
  /** A script handed over as a file (`RUN <<EOF` with a #! first line): mounted read-only at /dev/pipes/<name>. */
  readonly scripts: readonly { readonly name: string; readonly content: string }[];
  /** Absent when nothing differs from the defaults. */
  readonly settings?: RunSettings;
}

/** Surroundings of a RUN that the command line gives. */
export interface RunSettings {
  /** `buildkitsandbox` unless given. */
  readonly hostname?: string;
  /** Lines of /etc/hosts; only the names enter the cache key. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[];
  /** Names as `ulimit` and prlimit(1) have them, for example `nofile`. -1 is unlimited. */
  readonly ulimits?: readonly {
    readonly name: string;
    readonly soft: number;
    readonly hard: number;
  }[];
  /** Bytes of /dev/shm. */
  readonly shmSize?: number;
  readonly cgroupParent?: string;
}

/** What a RUN may do only when the command line allows it. */
export type Entitlement = "network.host" | "security.insecure";

/** `RUN --mount`. */
export type ExecMount =
  | {
      readonly type: "bind";
      readonly target: string;
      readonly input: number;
      readonly source: string;
      readonly readOnly: boolean;
    }
  | {
      readonly type: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      readonly readOnly: boolean;
    }
  | {
      readonly type: "cache";
      readonly target: string;
      readonly id: string;
      readonly sharing: "shared" | "private" | "locked";
      readonly readOnly: boolean;
      /** Looks of a new cache; any of them given makes it another cache than that of the same id without. */
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
      /** What a new cache begins with; an empty directory unless given. */
      readonly input?: number;
      /** Path inside the cache. */
      readonly source: string;
    }
  | {
      readonly type: "secret";
      readonly target?: string;
      readonly env?: string;
      readonly id: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: "ssh";
      readonly target: string;
      readonly id: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/**
 * COPY or ADD. inputs[0] is the root filesystem that is written to; `sources` name further inputs by their position
 * in `inputs`.
 */
export interface CopyOp {
  readonly type: "copy";
  readonly instruction: "COPY" | "ADD";
  readonly sources: readonly CopySource[];
  /** Absolute, expanded; keeps a trailing slash (it changes the meaning). */
  readonly destination: string;
  /** As written after expansion (`user:group`); names are looked up in inputs[0]. */
  readonly chown?: string;
  readonly chmod?: string;
  /** Written to an empty root, inputs[0]; a MergeOp puts the layer where it belongs. */
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
}

export type CopySource =
  | {
      readonly type: "path";
      /** Position in `inputs`. */
      readonly input: number;
      /** Expanded; relative to the input's root; may hold wildcards. */
      readonly pattern: string;
      /** ADD of a local file: unpack when its content is an archive. */
      readonly unpack: boolean;
      /** Owners of the source are kept (COPY --from); otherwise they become 0:0. */
      readonly keepOwner: boolean;
      /** ADD of a URL: mode 0600 unless --chmod. */
      readonly fromUrl: boolean;
    }
  | { readonly type: "inline"; readonly name: string; readonly content: string };

/** `--link`: the one layer of inputs[1], which was made on an empty root, on top of inputs[0]. */
export interface MergeOp {
  readonly type: "merge";
}

/** WORKDIR. inputs[0] is the root filesystem. */
export interface MkdirOp {
  readonly type: "mkdir";
  /** Absolute, cleaned. */
  readonly path: string;
  /** As written in USER; empty for root. */
  readonly user: string;
}

/** An image to be made: files from one vertex, config and history folded from the stage chain. */
export interface PlanTarget {
  readonly platform: Platform;
  /** Final filesystem. */
  readonly vertex: VertexId;
  readonly stageName: string;
  /** Everything but diffIds, history and created, which are known after solving. */
  readonly config: Omit<ImageConfig, "diffIds" | "history" | "created">;
  readonly baseHistory: readonly HistoryEntry[];
  readonly history: readonly PlannedHistory[];
}

export interface PlannedHistory {
  readonly createdBy: string;
  /** The vertex whose layer this is; absent for an empty layer. */
  readonly vertex?: VertexId;
}

export interface PlanWarning {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly location?: SourceLocation;
}

/** Hears of the stages and ARGs that are planned: for outlines, which describe them. */
export interface PlanObserver {
  /** A stage begins; `index` counts the FROM lines from 0. What follows belongs to it. */
  onStage(index: number): void;
  onArg(declaration: ArgDeclaration): void;
}

/** One name that an ARG of a stage declares. */
export interface ArgDeclaration {
  readonly name: string;
  readonly value: string | undefined;
  /** Declared before the first FROM; the stage only asks for it. */
  readonly isInherited: boolean;
  readonly instruction: ArgInstruction;
}

/** A base image as the planner needs it: exact identity and config. */
export interface BaseImage {
  readonly reference: string;
  readonly imageId: Digest;
  readonly chainId: ChainId | undefined;
  readonly config: ImageConfig;
  /** Nobody could be asked, and the config is made up: good enough for checks that do not depend on it. */
  readonly isUnknown?: boolean;
}

/** What `--build-context NAME=VALUE` puts in the place of a stage or of an image. */
export type NamedContext =
  /** Normalised reference. */
  | { readonly type: "image"; readonly reference: string }
  | { readonly type: "scratch" }
  | OciLayout
  /** A tree that the build environment knows under the context's name. */
  | { readonly type: "directory" }
  | GitOp
  | HttpOp;

/** An image in a directory in OCI layout; of several ones there, the one with the tag or digest. */
export interface OciLayout {
  readonly type: "oci-layout";
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** Something that has a time of its own: the main context, or files from elsewhere. */
export type TimedSource = { readonly type: "context" } | GitOp | HttpOp;

export interface PlanOptions {
  /** Name or undefined for the last stage. */
  readonly target?: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly platforms: readonly Platform[];
  /**
   * Whether somebody asked for these platforms. Only then do they replace the os and architecture that the base
   * image's config says. Default: false.
   */
  readonly platformsRequested?: boolean;
  /** Whether names of steps tell the platform: by default when there are several. */
  readonly multiPlatform?: boolean;
  readonly buildPlatform: Platform;
  /** Labels from the command line, merged last, without history. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Stages whose RUN, COPY and ADD run again: every one, or those of these names, letter case aside. */
  readonly noCache?: "all" | readonly string[];
  /** Default network of RUN. */
  readonly network?: "default" | "none" | "host";
  /** Surroundings of every RUN; the hostname comes from the build argument BUILDKIT_SANDBOX_HOSTNAME. */
  readonly runSettings?: Omit<RunSettings, "hostname">;
  /** `--allow`. None by default. */
  readonly entitlements?: ReadonlySet<Entitlement>;
  /**
   * `--build-context`, by normalised name: the short form of an image name without `:latest`. `scratch` and `context`
   * mean nothing here.
   */
  readonly namedContexts?: ReadonlyMap<string, NamedContext>;
  /**
   * How planning learns of the world, together with `resolveTime`. Called once per reference and platform. Looks in the
   * local store and the registries, or in `layout`, and then `reference` only is the name that messages use.
   */
  readonly resolveBase: (
    reference: string,
    platform: Platform,
    location: SourceLocation,
    layout?: OciLayout,
  ) => Promise<BaseImage>;
  /**
   * Time of a source in seconds: that of the commit, of the file, or of the newest file of an archive; undefined for
   * what has none. Asked only when SOURCE_DATE_EPOCH names a source.
   */
  readonly resolveTime?: (source: TimedSource) => Promise<number | undefined>;
  /** Collects what checks find. Nothing is checked without it. */
  readonly linter?: Linter;
  /** Plans every stage, as checks do when no target is named; otherwise only what the target reaches. */
  readonly allStages?: boolean;
  /** Is told what is planned as it is planned, one platform after the other. */
  readonly observer?: PlanObserver;
  /** Whether the ignore file keeps a source of COPY or ADD, expanded and cleaned, out of the main context. */
  readonly isIgnored?: (source: string) => boolean;
}

export type { ExecConfig };
