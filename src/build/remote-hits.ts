import { diffIdsOf, statesBelow, type CacheState, type RemoteRecord } from "../cache/index.ts";
import {
  formatPlatform,
  isDiskFull,
  isTsbuildError,
  type ChainId,
  type Digest,
  type Platform,
} from "../core/index.ts";
import type { StackLayer } from "../local/index.ts";
import type { Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import { buildError } from "./errors.ts";
import type { CacheKey } from "./keys.ts";
import { isStep, vertexOf } from "./plan-vertices.ts";
import type { RemoteFinding, RemoteResults } from "./remote-results.ts";
import { rootOf } from "./step-roots.ts";
import type { VertexKeys } from "./vertex-keys.ts";

/** What a step came to on another machine. */
export interface RemoteHit extends Pick<RemoteRecord, "durationMs"> {
  readonly state: CacheState;
  readonly created: string;
  /** Brings its layers here. @throws BUILD_CACHE_LOST when they cannot be had: the plan is to be solved again then */
  readonly bring: () => Promise<void>;
}

/** It does not fit its step, or its layers cannot be had. */
export type Miss = "refused" | "lost";

export interface RemoteHitsOptions {
  readonly plan: Plan;
  readonly environment: BuildEnvironment;
  readonly keys: VertexKeys;
  /** Brings the files of the image that a stage begins with. */
  readonly materialize: (id: VertexId) => Promise<void>;
}

/**
 * Looks for results of other machines, and believes none that does not fit: it must stand on the image that the plan says,
 * with one layer for each step, on what its own parent came to, and be for the same platform.
 */
export interface RemoteHits {
  /** What became of the result that a cache has under a key, where it could not be used. */
  missed(key: CacheKey): Miss | undefined;
  /** `parent` is the exact stack that the step stands on, where that is known by now. */
  find(
    id: VertexId,
    key: CacheKey,
    parent?: { readonly chainId: ChainId | undefined },
  ): Promise<RemoteHit | undefined>;
}

/** undefined where the build was told of no other machine. */
export function openRemoteHits(options: RemoteHitsOptions): RemoteHits | undefined {
  const { environment } = options;
  const { remote } = environment;
  if (remote === undefined) return undefined;
  return new BelievedHits({ ...options, environment: { ...environment, remote } });
}

interface BelievedHitsOptions extends RemoteHitsOptions {
  readonly environment: BuildEnvironment & { readonly remote: RemoteResults };
}

class BelievedHits implements RemoteHits {
  readonly #options: BelievedHitsOptions;
  /** Stacks whose layers can be had, as far as anybody knows. */
  readonly #having = new Set<ChainId>();
  readonly #missed = new Map<Digest, Miss>();

  constructor(options: BelievedHitsOptions) {
    this.#options = options;
  }

  missed({ digest }: CacheKey): Miss | undefined {
    return this.#missed.get(digest);
  }

  async find(
    id: VertexId,
    key: CacheKey,
    parent?: { readonly chainId: ChainId | undefined },
  ): Promise<RemoteHit | undefined> {
    const vertex = vertexOf(this.#options.plan, id);
    const { remote } = this.#options.environment;
    for (const finding of await remote.lookup(key.digest)) {
      const { state, durationMs } = finding.record;
      const doubt = await this.#doubt(vertex, finding, parent);
      // Of several results one that fits counts more.
      if (doubt === undefined) this.#missed.set(key.digest, "lost");
      else if (!this.#missed.has(key.digest)) this.#missed.set(key.digest, "refused");
      if (doubt !== undefined) remote.refuse(finding, doubt);
      else if (await this.#canBeHad(vertex, state)) {
        let bringing: Promise<void> | undefined;
        return {
          ...{ state, durationMs, created: state.created ?? new Date(0).toISOString() },
          bring: () => (bringing ??= this.#bring(vertex, finding)),
        };
      }
    }
    return undefined;
  }

  /** Why a record cannot be what this step came to. */
  async #doubt(
    vertex: Vertex,
    { record }: RemoteFinding,
    parent: { readonly chainId: ChainId | undefined } | undefined,
  ): Promise<string | undefined> {
    const root = rootOf(this.#options.plan, vertex.id);
    if (!isSamePlatform(record.platform, root.platform)) {
      return `it is for ${String(record.platform)}`;
    }
    const { state } = record;
    if (!standsOn(state, root)) return "it stands on another image";
    const expected = parent === undefined ? await this.#parents(vertex) : [parent.chainId];
    if (expected.length > 0 && !expected.includes(state.parent?.chainId)) {
      return "it stands on what no step below it came to";
    }
    return undefined;
  }

  /** What the step below is known to have come to, here and elsewhere; none where nobody knows. */
  async #parents({ inputs: [below] }: Vertex): Promise<readonly (ChainId | undefined)[]> {
    const { plan, keys, environment } = this.#options;
    if (below === undefined || !isStep(vertexOf(plan, below).op)) return [];
    const { digest } = await keys.definition(below);
    const findings = await environment.remote.lookup(digest);
    const here = await environment.cache.lookup(digest);
    return [
      ...findings.map(({ record }) => record.state.chainId),
      ...(here === undefined ? [] : [here.chainId]),
    ];
  }

  /** Whether each layer of the steps is here, or somebody says to have it. */
  async #canBeHad(vertex: Vertex, state: CacheState): Promise<boolean> {
    const { snapshots, remote } = this.#options.environment;
    // A step more on a stack that was looked at is one layer more: a cache has a thousand of them.
    const asked = this.#ownStates(vertex, state);
    const known = asked.findLastIndex(({ chainId }) => this.#having.has(chainId));
    for (const { diffId, chainId } of asked.slice(known + 1)) {
      const isSomewhere = remote.layer(diffId) !== undefined;
      if (!isSomewhere && (await snapshots.stat(chainId)) === undefined) return false;
      this.#having.add(chainId);
    }
    return true;
  }

  #ownStates(vertex: Vertex, state: CacheState): readonly CacheState[] {
    return statesBelow(state).slice(-rootOf(this.#options.plan, vertex.id).steps);
  }

  async #bring(vertex: Vertex, { record }: RemoteFinding): Promise<void> {
    const { environment, plan, materialize } = this.#options;
    const { snapshots, images, steps, remote, signal } = environment;
    const { state } = record;
    if ((await snapshots.stat(state.chainId)) !== undefined) return;
    await materialize(rootOf(plan, vertex.id).vertex);
    const own = this.#ownStates(vertex, state);
    try {
      await steps.run(`fetching ${vertex.name} from the cache`, async (step) => {
        await images.ensureStack(
          own.map((each) => toStackLayer(each, remote)),
          {
            fetchLayer: (layer, wanted) => environment.fetchLayer(undefined, layer, wanted),
            onProgress: (item, current, total, done) =>
              step.progress({ item, current, total, unit: "bytes", done }),
            signal,
          },
        );
      });
    } catch (error) {
      signal.throwIfAborted();
      if (isDiskFull(error) || isTsbuildError(error, "DISK_FULL")) throw error;
      remote.giveUp(await this.#absent(own), error);
      throw buildError("BUILD_CACHE_LOST", `fetch ${vertex.name} from the cache`, {
        hint: "build again: without that cache its steps run",
        cause: error,
        details: { layers: diffIdsOf(state).slice(-own.length) },
      });
    }
  }

  async #absent(states: readonly CacheState[]): Promise<readonly CacheState["diffId"][]> {
    const { snapshots } = this.#options.environment;
    const here = await Promise.all(states.map(({ chainId }) => snapshots.stat(chainId)));
    return states.filter((_, index) => here[index] === undefined).map(({ diffId }) => diffId);
  }
}

function toStackLayer(state: CacheState, remote: RemoteResults): StackLayer {
  const { diffId, parent, chainId, created } = state;
  const published = remote.layer(diffId);
  return {
    ...{ diffId, parent: parent?.chainId, chainId },
    published: published && { ...published, created },
  };
}

function standsOn(
  state: CacheState,
  root: { readonly chainId: ChainId | undefined; readonly steps: number },
): boolean {
  let at: CacheState | undefined = state;
  for (let step = 0; step < root.steps; step += 1) {
    if (at === undefined) return false;
    at = at.parent;
  }
  return at?.chainId === root.chainId;
}

/** Variants count where both tell one: images often leave out that of their machine. */
function isSamePlatform(told: string | undefined, expected: Platform | undefined): boolean {
  if (told === undefined || expected === undefined) return true;
  const [os, architecture, variant] = told.split("/");
  if (os !== expected.os || architecture !== expected.architecture) return false;
  return (
    variant === undefined || expected.variant === undefined || told === formatPlatform(expected)
  );
}
