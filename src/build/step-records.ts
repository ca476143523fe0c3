import { diffIdsOf, statesBelow, type Cache } from "../cache/index.ts";
import type { ChainId, Digest } from "../core/index.ts";
import { renewedVertices } from "./plan-vertices.ts";
import type { Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import type { CacheKey } from "./keys.ts";
import type { RemoteHit, RemoteHits } from "./remote-hits.ts";
import type { LayersResult, VertexResult } from "./result.ts";
import type { VertexKeys } from "./vertex-keys.ts";

/** What a step came to, whether it ran now or is remembered, here or elsewhere. */
export type StepRecord = Parameters<Cache["store"]>[2] &
  Pick<LayersResult, "materialize" | "timeOf">;

/** What is remembered of the steps of a plan, and what will be. */
export class StepRecords {
  /** Keys of the records that were written. */
  readonly written: Digest[] = [];
  readonly #environment: Pick<BuildEnvironment, "cache" | "snapshots">;
  readonly #keys: VertexKeys;
  readonly #renewed: ReadonlySet<VertexId>;
  readonly #hits = new Map<VertexId, Promise<StepRecord | undefined>>();
  readonly #remote: RemoteHits | undefined;
  /** Asked when the build begins: what it makes itself serves only steps that are the same. */
  #wasEmpty: Promise<boolean> | undefined;

  constructor(options: {
    /** Looked into for what is not here. */
    readonly remote?: RemoteHits | undefined;
    readonly plan: Plan;
    readonly environment: Pick<BuildEnvironment, "cache" | "snapshots">;
    readonly keys: VertexKeys;
  }) {
    this.#environment = options.environment;
    this.#keys = options.keys;
    this.#remote = options.remote;
    this.#renewed = renewedVertices(options.plan);
  }

  /** Whether there was anything to be found when the build began. */
  async areAny(): Promise<boolean> {
    return (
      this.#remote !== undefined || !(await (this.#wasEmpty ??= this.#environment.cache.isEmpty()))
    );
  }

  /** By definition. Looked up once, so that whoever uses the record and whoever tells of it agree. */
  findByDefinition(id: VertexId): Promise<StepRecord | undefined> {
    let hit = this.#hits.get(id);
    if (hit === undefined) {
      hit = this.#renewed.has(id)
        ? Promise.resolve(undefined)
        : this.#keys.definition(id).then((key) => this.#lookup(id, key));
      this.#hits.set(id, hit);
    }
    return hit;
  }

  /** `inputs` are what the vertex stands on and reads. */
  async findByContent(
    vertex: Vertex,
    key: CacheKey,
    [base]: readonly VertexResult[],
  ): Promise<StepRecord | undefined> {
    if (vertex.ignoreCache === true) return undefined;
    const parent = base?.type === "layers" ? { chainId: base.chainId } : undefined;
    return this.#lookup(vertex.id, key, parent);
  }

  /** Keeps what a step came to under both of its keys. */
  async remember(
    vertex: Vertex,
    keys: { readonly definition: CacheKey; readonly content: CacheKey },
    record: StepRecord,
  ): Promise<void> {
    await this.#store(keys.content, record);
    await this.rememberDefinition(vertex, keys.definition, record);
  }

  async rememberDefinition(vertex: Vertex, key: CacheKey, record: StepRecord): Promise<void> {
    if (this.#keys.isOutdated(vertex.id)) return;
    await this.#store(key, record);
  }

  /** Keeps a result of another machine that is used. It counts here from the moment on when its layers have come. */
  async adopt(key: CacheKey, record: StepRecord): Promise<void> {
    if (record.materialize !== undefined) await this.#store(key, record);
  }

  /** A record counts only while its files are here; otherwise the step runs again. */
  async #lookup(
    id: VertexId,
    key: CacheKey,
    parent?: { readonly chainId: ChainId | undefined },
  ): Promise<StepRecord | undefined> {
    const record = await this.#environment.cache.lookup(key.digest);
    if (record?.chainId !== undefined) {
      const snapshot = await this.#environment.snapshots.stat(record.chainId);
      if (snapshot !== undefined) return record;
    }
    const hit = await this.#remote?.find(id, key, parent);
    return hit && recordOf(hit);
  }

  async #store(key: CacheKey, record: StepRecord): Promise<void> {
    await this.#environment.cache.store(key.digest, key.object, record);
    this.written.push(key.digest);
  }
}

/** A record whose layers come when somebody reads them. */
function recordOf({ state, created, durationMs, bring }: RemoteHit): StepRecord {
  const times = new Map(statesBelow(state).map((each) => [each.chainId, each.created]));
  return {
    ...{ diffIds: diffIdsOf(state), chainId: state.chainId, created, durationMs },
    timeOf: (chainId) => times.get(chainId),
    materialize: bring,
  };
}
