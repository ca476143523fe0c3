import { rootOf, type Solution, type SolvedStep } from "../../../build/index.ts";
import {
  inlineCache,
  stateOn,
  type CacheState,
  type InlineRecord,
  type RemoteRecord,
} from "../../../cache/index.ts";
import { extendChain, formatPlatform, type ChainId, type DiffId } from "../../../core/index.ts";
import type { ImageConfig } from "../../../image/index.ts";
import type { Plan, VertexId } from "../../../plan/index.ts";

/** What a build knows that other machines may want to know. */
export interface CollectedRecords {
  readonly records: readonly RemoteRecord[];
  /** The states that steps have made; those of base images are had elsewhere. */
  readonly own: ReadonlyMap<DiffId, CacheState>;
}

/**
 * The results of a build's steps, cached or not: with `min` those that the images are made of, with `max` all of them.
 */
export function collectRecords(request: {
  readonly plan: Plan;
  readonly solution: Solution;
  readonly mode: "min" | "max";
  /** Of `dayOf`. */
  readonly used: string;
}): CollectedRecords {
  const { plan, solution, mode, used } = request;
  const wanted = mode === "max" ? undefined : verticesOfTargets(plan);
  const states = new States();
  const records: RemoteRecord[] = [];
  const own = new Map<DiffId, CacheState>();
  for (const step of solution.solved) {
    if (wanted?.has(step.vertex) === false || step.record.chainId === undefined) continue;
    const below = plan.vertices[step.vertex]?.inputs[0];
    const state = states.add(step, below);
    const root = rootOf(plan, step.vertex);
    addOwn(own, state, root.steps);
    const platform = root.platform && formatPlatform(root.platform);
    for (const key of [step.definition, step.content]) {
      if (key === undefined) continue;
      const { durationMs } = step.record;
      records.push({
        key,
        state,
        durationMs,
        used,
        ...(platform === undefined ? {} : { platform }),
      });
    }
  }
  return { records, own };
}

/** What makes the image of a target a cache of its own steps. */
export function inlineMembers(
  plan: Plan,
  solution: Solution,
  target: VertexId,
): NonNullable<ImageConfig["members"]> {
  const chain = chainOf(plan, target);
  const records = solution.solved.flatMap(({ vertex, definition, record }): InlineRecord[] => {
    if (!chain.has(vertex) || definition === undefined) return [];
    return [{ key: definition, layers: record.diffIds.length }];
  });
  return inlineCache(records);
}

function verticesOfTargets(plan: Plan): ReadonlySet<VertexId> {
  const wanted = new Set(plan.targets.flatMap(({ vertex }) => [...chainOf(plan, vertex)]));
  for (const id of wanted) {
    const { op, inputs = [] } = plan.vertices[id] ?? {};
    // `--link`: its layer is the image's, whatever it lies on.
    if (op?.type === "merge") for (const input of inputs) wanted.add(input);
  }
  return wanted;
}

/** A vertex and all that it stands on. */
function chainOf(plan: Plan, target: VertexId): ReadonlySet<VertexId> {
  const chain = new Set<VertexId>();
  for (let id: VertexId | undefined = target; id !== undefined;) {
    chain.add(id);
    id = plan.vertices[id]?.inputs[0];
  }
  return chain;
}

/** States by what they are made of. A step mostly stands on one that is known, so that a long build costs no square. */
class States {
  readonly #byChain = new Map<ChainId, CacheState>();
  readonly #byVertex = new Map<VertexId, CacheState>();

  add({ vertex, record }: SolvedStep, below: VertexId | undefined): CacheState {
    const state = this.#onKnown(record, below) ?? this.#fromBottom(record);
    this.#byVertex.set(vertex, state);
    return state;
  }

  #onKnown(
    { diffIds, chainId, created }: SolvedStep["record"],
    below: VertexId | undefined,
  ): CacheState | undefined {
    const parent = below === undefined ? undefined : this.#byVertex.get(below);
    const diffId = diffIds.at(-1);
    if (parent === undefined || diffId === undefined) return undefined;
    if (extendChain(parent.chainId, diffId) !== chainId) return undefined;
    return this.#keep(stateOn(parent, { diffId, created }));
  }

  #fromBottom({ diffIds, created, timeOf }: SolvedStep["record"]): CacheState {
    let state: CacheState | undefined;
    for (const [index, diffId] of diffIds.entries()) {
      const time = index === diffIds.length - 1 ? created : undefined;
      const made = stateOn(state, { diffId, created: time });
      state = this.#keep(stateOn(state, { diffId, created: time ?? timeOf?.(made.chainId) }));
    }
    if (state === undefined) throw new Error("a record without layers has no state");
    return state;
  }

  /** One that knows its time is better than one that does not. */
  #keep(state: CacheState): CacheState {
    const known = this.#byChain.get(state.chainId);
    if (known !== undefined && (known.created !== undefined || state.created === undefined)) {
      return known;
    }
    this.#byChain.set(state.chainId, state);
    return state;
  }
}

function addOwn(own: Map<DiffId, CacheState>, state: CacheState, steps: number): void {
  let at: CacheState | undefined = state;
  for (let step = 0; step < steps && at !== undefined; step += 1) {
    if (own.has(at.diffId)) return;
    own.set(at.diffId, at);
    at = at.parent;
  }
}
