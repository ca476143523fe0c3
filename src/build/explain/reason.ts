import type { JsonValue } from "../../core/index.ts";

/** Why a step runs although there was a build of the same target before. */
export type Reason =
  /** There was none. */
  | { readonly type: "first-time" }
  /** There was none here, and no cache that was named has the result. */
  | { readonly type: "first-here" }
  /** It was asked for: `--no-cache`, `--no-cache-filter`. */
  | { readonly type: "no-cache" }
  /** The last build had no such step. */
  | { readonly type: "new" }
  /** Nothing differs; the result was pruned, or never outlived a power cut. */
  | { readonly type: "evicted" }
  /** A cache has its result, and the layers cannot be had from there. */
  | { readonly type: "lost" }
  /** A cache has a result under its key that cannot be its result. */
  | { readonly type: "refused" }
  /** What the last build was made of was pruned too, so nobody can tell. */
  | { readonly type: "forgotten" }
  | FieldChange
  | FilesChange
  /** The image that it stands on is another one. */
  | { readonly type: "base"; readonly previous: BaseName; readonly current: BaseName }
  /** The step `name`, which it stood on, is gone from the Dockerfile. */
  | { readonly type: "removed"; readonly name: string }
  /** It stands on another step than before; both were there and are. */
  | { readonly type: "moved"; readonly previous: string; readonly current: string }
  /** What `name` gives is known only once it is fetched: said before a build alone. */
  | { readonly type: "unseen"; readonly name: string }
  /** It stands on another result of the step `name`, for `reason`. */
  | {
      readonly type: "input";
      readonly name: string;
      readonly reason: Exclude<Reason, InputReason>;
    };

type InputReason = Extract<Reason, { readonly type: "input" }>;

/** What the instruction itself says, or its surroundings. An absent side means that the field is new, or gone. */
export interface FieldChange {
  readonly type: "field";
  /** Name of a field of the key: `instruction`, `env.PATH`, `user`. */
  readonly field: string;
  readonly previous?: JsonValue;
  readonly current?: JsonValue;
  /** The step as the last build showed it, where its text was another. */
  readonly was?: string;
}

export interface FilesChange {
  readonly type: "files";
  /** The first ones, in the order of the tree. */
  readonly files: readonly FileChange[];
  /** How many differ. */
  readonly changed: number;
  /** How many files there are now. */
  readonly total: number;
  /** The step whose files they are; absent for those of a build context. */
  readonly from?: string;
}

export interface FileChange {
  readonly path: string;
  /** Owners and extended attributes count as content, and the content may differ besides the mode. */
  readonly how: "added" | "removed" | "content" | "mode";
  readonly previousMode?: number;
  readonly currentMode?: number;
}

export interface BaseName {
  /** `scratch` for none. */
  readonly reference: string;
  readonly imageId: string | undefined;
}
