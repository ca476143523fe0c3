import type { Cache } from "../cache/index.ts";
import type { Digest } from "../core/index.ts";
import { renewedVertices } from "./plan-vertices.ts";
import type { Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import type { CacheKey } from "./keys.ts";
import type { VertexKeys } from "./vertex-keys.ts";

/** What a step came to, whether it ran now or is remembered. */
export type StepRecord = Parameters<Cache["store"]>[2];

/** What is remembered of the steps of a plan, and what will be. */
export class StepRecords {
  /** Keys of the records that were written. */
  readonly written: Digest[] = [];
  readonly #environment: Pick<BuildEnvironment, "cache" | "snapshots">;
  readonly #keys: VertexKeys;
  readonly #renewed: ReadonlySet<VertexId>;
  readonly #hits = new Map<VertexId, Promise<StepRecord | undefined>>();

  constructor(options: {
    readonly plan: Plan;
    readonly environment: Pick<BuildEnvironment, "cache" | "snapshots">;
    readonly keys: VertexKeys;
  }) {
    this.#environment = options.environment;
    this.#keys = options.keys;
    this.#renewed = renewedVertices(options.plan);
  }

  /** By definition. Looked up once, so that whoever uses the record and whoever tells of it agree. */
  findByDefinition(id: VertexId): Promise<StepRecord | undefined> {
    let hit = this.#hits.get(id);
    if (hit === undefined) {
      hit = this.#renewed.has(id)
        ? Promise.resolve(undefined)
        : this.#keys.definition(id).then((key) => this.#lookup(key));
      this.#hits.set(id, hit);
    }
    return hit;
  }

  async findByContent(vertex: Vertex, key: CacheKey): Promise<StepRecord | undefined> {
    return vertex.ignoreCache === true ? undefined : this.#lookup(key);
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
    if (!this.#keys.isOutdated(vertex.id)) await this.#store(key, record);
  }

  /** A record counts only while its files are here; otherwise the step runs again. */
  async #lookup(key: CacheKey): Promise<StepRecord | undefined> {
    const record = await this.#environment.cache.lookup(key.digest);
    if (record?.chainId === undefined) return undefined;
    const snapshot = await this.#environment.snapshots.stat(record.chainId);
    return snapshot === undefined ? undefined : record;
  }

  async #store(key: CacheKey, record: StepRecord): Promise<void> {
    await this.#environment.cache.store(key.digest, key.object, record);
    this.written.push(key.digest);
  }
}
