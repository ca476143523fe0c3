import type { SourceLocation } from "../../core/index.ts";
import type { IgnoreRule } from "../../context/index.ts";

/** What a build could read, what the ignore rules take away, and what becomes of the rest. */
export interface ContextReport {
  /** As the user named it. */
  readonly context: string;
  /** Files, symlinks and other nodes that are no directories. */
  readonly files: number;
  readonly folders: number;
  /** Of all files. */
  readonly bytes: number;
  /** How many rules there are, and the file they stand in; a Dockerfile may have one of its own. */
  readonly rules: { readonly count: number; readonly file: string | undefined };
  /** What the rules take away, without what is below it; in the order of the tree. */
  readonly ignored: readonly IgnoredPath[];
  /** Largest first. */
  readonly largestFiles: readonly SizedPath[];
  /** Largest first, each with everything below it. */
  readonly largestFolders: readonly SizedFolder[];
  /** The sources of every COPY and ADD and of mounts, in the order of the Dockerfile. */
  readonly uses: readonly ContextUse[];
  /** Why the Dockerfile cannot be built: then nobody knows what it reads. */
  readonly problem: string | undefined;
  /** What none of them reads, but for the Dockerfile and its ignore file; undefined when nobody knows. */
  readonly unused: UnusedFiles | undefined;
  readonly findings: readonly ContextFinding[];
}

export interface SizedPath {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

export interface SizedFolder extends SizedPath {
  readonly files: number;
}

export interface IgnoredPath {
  readonly path: string;
  readonly rule: IgnoreRule;
}

/** One source of one instruction. */
export interface ContextUse {
  /** As the progress of a build names it: `[app 2/5] COPY package.json ./`. */
  readonly step: string;
  readonly location: SourceLocation | undefined;
  readonly pattern: string;
  readonly files: number;
  readonly bytes: number;
  /** Why the build would fail here: the source is not there. */
  readonly problem: string | undefined;
}

export interface UnusedFiles {
  readonly files: number;
  readonly bytes: number;
  /** Folders of which nothing is used count as one; largest first. */
  readonly largest: readonly SizedFolder[];
}

/** Something that seldom belongs into an image. */
export interface ContextFinding {
  readonly code: "VERSION_CONTROL" | "DEPENDENCIES" | "ENVIRONMENT" | "PRIVATE_KEY" | "CREDENTIALS";
  readonly path: string;
  /** With everything below it. */
  readonly size: number;
  /** Whether some instruction reads it; undefined when nobody knows. */
  readonly isUsed: boolean | undefined;
  /** Such as `the history of a repository`. */
  readonly what: string;
}

/** Why one path is in the context or not. */
export interface PathExplanation {
  readonly path: string;
  readonly isThere: boolean;
  /** Whether COPY could read it. */
  readonly isIncluded: boolean;
  /** All rules that have a say, in the order of the file: the last one decides. */
  readonly rules: readonly {
    readonly rule: IgnoreRule;
    readonly isException: boolean;
    /** The path, or the folder above it that the rule matches. */
    readonly matched: string;
  }[];
  /** Who reads it. */
  readonly uses: readonly ContextUse[];
}
