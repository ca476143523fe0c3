import type { VertexId } from "../../plan/index.ts";

/** What would become of a step if the build ran now. */
export type Fate =
  | { readonly type: "cached" }
  | { readonly type: "runs" }
  /** Whether the cache knows it is decided by what these give. */
  | { readonly type: "depends"; readonly on: readonly VertexId[] }
  /** Not in the cache, and nothing needs it. */
  | { readonly type: "skipped" };
