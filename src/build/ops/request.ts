import type { BuildEnvironment } from "../environment.ts";
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
}
