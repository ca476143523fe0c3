import type { BuildEnvironment } from "../environment.ts";
import type { FileFields } from "../keys.ts";
import type { LayersResult, VertexResult } from "../result.ts";
import type { Step } from "../steps.ts";

/** What an op that makes a layer gets to work with. */
export interface OpRequest {
  readonly environment: BuildEnvironment;
  /** The root filesystem to change; its files are here. */
  readonly base: LayersResult;
  /** Results of the vertex' further inputs: `inputs[n]` of the op is `others[n - 1]`. */
  readonly others: readonly VertexResult[];
  readonly step: Step;
  /** Whether nothing in this build is going to read the files of the result. */
  readonly isUnread: boolean;
  /** Only for a copy that counts its files in passing, since nobody did before: told what they were. */
  readonly tellCounted?: (files: FileFields) => void;
  /**
   * Only for a step that ignores the cache (`--no-cache`): the cache mounts that it uses are emptied first. Several
   * steps of one build that use the same one share what they put in, so it is emptied once, and all wait for that.
   */
  readonly emptyOnce?: (cacheMount: string, empty: () => Promise<void>) => Promise<void>;
}
