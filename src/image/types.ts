import type { Readable } from "node:stream";
import type { Digest, DiffId, Platform } from "../core/index.ts";
import type { WireValue } from "./json-writer.ts";

/**
 * Points at content by its digest.
 * @see OCI image spec, descriptor.md
 */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  /** Base64 of the content itself, when the writer inlined it. */
  readonly data?: string;
}

/** One image: a config and its layers, bottom first. @see OCI image spec, manifest.md */
export interface Manifest {
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly subject?: Descriptor;
  readonly artifactType?: string;
}

/** Many manifests. "Manifest list" is the name of Docker's media type for the same thing. */
export interface Index {
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly subject?: Descriptor;
  readonly artifactType?: string;
}

/**
 * Execution parameters of an image (`config` of the config document), in our spelling. Docker's own fields
 * (healthcheck, onBuild, shell, argsEscaped) are reserved words of the OCI spec and kept.
 * @see OCI image spec, config.md
 */
export interface ExecConfig {
  readonly user?: string;
  /** Keys such as `80/tcp`. */
  readonly exposedPorts?: readonly string[];
  /** `KEY=value`, in order. */
  readonly env?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly volumes?: readonly string[];
  readonly workingDir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  readonly healthcheck?: Healthcheck;
  readonly onBuild?: readonly string[];
  readonly shell?: readonly string[];
  readonly argsEscaped?: boolean;
}

/** Durations are nanoseconds; absent fields inherit Docker's defaults. */
export interface Healthcheck {
  readonly test?: readonly string[];
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
}

export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string;
  readonly createdBy?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly emptyLayer?: boolean;
}

/** The config document. Its digest is the image ID. */
export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
  readonly config: ExecConfig;
  readonly diffIds: readonly DiffId[];
  readonly history: readonly HistoryEntry[];
  /** Members of the document that no specification knows. Written, and not read: whoever wants one looks at the bytes. */
  readonly members?: Readonly<Record<string, WireValue>>;
}

/**
 * A place that gives content by descriptor. Implementations verify nothing that `copyGraph` verifies again; whoever
 * consumes the stream reads it to the end or destroys it.
 */
export interface ContentSource {
  /** How errors and progress name this place, for example `registry 127.0.0.1:5000/app`. */
  readonly label: string;
  /** @throws a `*_NOT_FOUND` code when the place lacks it */
  fetch(descriptor: Descriptor, signal?: AbortSignal): Promise<Readable>;
  /** What is behind the first `offset` bytes, where the place can begin there. The caller verifies the whole. When it fails, `fetch` may still succeed. */
  fetchFrom?(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<Readable>;
  /** What a name stands for; undefined when the name is not known here. */
  resolve(name: string, signal?: AbortSignal): Promise<Descriptor | undefined>;
}

/**
 * A place that takes content. The order of calls is children first: layers and config, then their manifest, then the
 * index, then `tag`. `push` is idempotent; losing a race against another writer of the same digest is success.
 */
export interface ContentSink {
  readonly label: string;
  /**
   * True where having a manifest or an index implies having everything below it, as registries promise; then a graph
   * whose top is there is not walked.
   */
  readonly hasChildrenToo?: boolean;
  /** True where one piece is written after the other, such as a tar: then copies keep to one order, too. */
  readonly isSequential?: boolean;
  /** True for a store of one's own: to keep a layer there is not to distribute it. */
  readonly isOwn?: boolean;
  /** Whether the place has it already, so that nothing needs to be moved. */
  has(descriptor: Descriptor, signal?: AbortSignal): Promise<boolean>;
  /**
   * Consumes `content` completely. Stores nothing when it fails. A manifest that fails with digests in `details.lost` is
   * worth another try after these were pushed again: the place took them, and has them no more.
   */
  push(descriptor: Descriptor, content: Readable, signal?: AbortSignal): Promise<void>;
  /** The beginning of something that a copy before this one did not bring to its end; unverified. */
  takePartial?(
    descriptor: Descriptor,
  ): Promise<{ readonly size: number; readonly content: Readable } | undefined>;
  /** Makes `name` stand for the descriptor, which has been pushed. */
  tag(name: string, descriptor: Descriptor, signal?: AbortSignal): Promise<void>;
}
