import type { ChainId, Digest, Platform, SourceLocation } from "../core/index.ts";
import type { ExecConfig, HistoryEntry, ImageConfig } from "../image/index.ts";

/**
 * What a build will do, as plain ordered data: printing it is `tsbuild graph`, hashing a vertex is half of its cache
 * key. Contains only what the target reaches. `vertices` is in topological order: inputs come before users.
 */
export interface Plan {
  readonly vertices: readonly Vertex[];
  /** One per target platform. */
  readonly targets: readonly PlanTarget[];
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
}

export type Op = ImageOp | ScratchOp | ContextOp | HttpOp | ExecOp | CopyOp | MkdirOp;

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
}

/** `RUN --mount`: later issues thicken it; the shape is final. */
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
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly input?: number;
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

/** A base image as the planner needs it: exact identity and config. */
export interface BaseImage {
  readonly reference: string;
  readonly imageId: Digest;
  readonly chainId: ChainId | undefined;
  readonly config: ImageConfig;
}

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
  readonly buildPlatform: Platform;
  /** Labels from the command line, merged last, without history. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Default network of RUN. */
  readonly network?: "default" | "none" | "host";
  /** The only way in which planning learns of the world. Called once per reference and platform. */
  readonly resolveBase: (
    reference: string,
    platform: Platform,
    location: SourceLocation,
  ) => Promise<BaseImage>;
}

export type { ExecConfig };
