/** A plan as people look at it: what is made, from what, and what the last build did with it. */
export interface BuildGraph {
  /** One for each stage that makes something, in the order of the file. */
  readonly stages: readonly GraphStage[];
  /** Inputs come before their users. */
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** ISO time of the last build of the same context, file and target; undefined before the first. */
  readonly lastBuild: string | undefined;
}

export interface GraphStage {
  readonly id: number;
  /** Its name or `stage-1`, with the platform where there are several. */
  readonly title: string;
}

export interface GraphNode {
  readonly id: number;
  /** `source`: the context, a URL, a repository. `result`: an image that comes out. */
  readonly kind: "image" | "source" | "run" | "copy" | "workdir" | "result";
  /** As in the Dockerfile, variables filled in. */
  readonly title: string;
  /** Id of its stage. */
  readonly stage?: number;
  /** Which step of the stage, such as `2/4`. */
  readonly step?: string;
  /** Line of the Dockerfile, counted from 1. */
  readonly line?: number;
  /** What the last build did; absent for what is no step, and what was not in it. */
  readonly outcome?: "cached" | "ran";
  /** How long it took when it ran last, in milliseconds. */
  readonly durationMs?: number;
}

export interface GraphEdge {
  /** Id of the node that is read. */
  readonly from: number;
  readonly to: number;
  /** `base`: everything of it is the ground on which the other stands. `files`: some of its files are read. */
  readonly kind: "base" | "files";
  /** Which files, as patterns; absent for a base. */
  readonly reads?: readonly string[];
}
