import type { ChainId, Platform } from "../core/index.ts";
import type { Plan, VertexId } from "../plan/index.ts";
import { vertexOf } from "./plan-vertices.ts";

/** What the steps of a stage stand on. */
export interface StepRoot {
  /** The vertex at the bottom: an image, or the empty root. */
  readonly vertex: VertexId;
  /** Its layers; undefined for an empty root. */
  readonly chainId: ChainId | undefined;
  /** How many layers the vertex and those below it have put on the root: each step makes one. */
  readonly steps: number;
  /** That of the image, or of the first RUN; undefined where it does not matter. */
  readonly platform: Platform | undefined;
}

/** What a vertex that makes layers stands on, through all its first inputs. */
export function rootOf(plan: Plan, id: VertexId): StepRoot {
  let platform: Platform | undefined;
  let steps = 0;
  for (let vertex = vertexOf(plan, id); ; steps += 1) {
    const { op } = vertex;
    const [below] = vertex.inputs;
    if (op.type === "exec") platform = op.platform;
    if (op.type === "image") {
      return { vertex: vertex.id, chainId: op.chainId, steps, platform: platform ?? op.platform };
    }
    if (below === undefined) return { vertex: vertex.id, chainId: undefined, steps, platform };
    vertex = vertexOf(plan, below);
  }
}
