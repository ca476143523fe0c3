import type { Digest } from "../../core/index.ts";
import type { HttpOp, Plan, Vertex, VertexId } from "../../plan/index.ts";
import { BuildTrace } from "../build-trace.ts";
import type { BuildEnvironment } from "../environment.ts";
import { openContext } from "../ops/context.ts";
import { peekHttp } from "../ops/http.ts";
import { isStep, locateAt, vertexOf } from "../plan-vertices.ts";
import { openRemoteHits } from "../remote-hits.ts";
import type { TreeResult, VertexResult } from "../result.ts";
import { StepRecords, type StepRecord } from "../step-records.ts";
import { VertexKeys } from "../vertex-keys.ts";
import type { Fate } from "./fate.ts";

/**
 * Walks a plan as the solver does, but where that would run a step, download or unpack something, this one notes that
 * nobody knows yet. It asks the same keys and records.
 */
export class Forecaster {
  readonly trace: BuildTrace;
  readonly #plan: Plan;
  readonly #environment: BuildEnvironment;
  readonly #keys: VertexKeys;
  readonly #records: StepRecords;
  readonly #fates = new Map<VertexId, Fate>();
  readonly #found = new Map<VertexId, StepRecord>();
  readonly #needed = new Set<VertexId>();
  readonly #downloads = new Map<VertexId, TreeResult>();
  /** What stands on a download of which nobody knows what it gives, with that download. */
  readonly #unseen = new Map<VertexId, VertexId>();
  readonly #running = new Map<Digest, VertexId>();

  /** `environment.cache` is one whose lookups leave no trace. */
  constructor(plan: Plan, environment: BuildEnvironment) {
    this.#plan = plan;
    this.#environment = environment;
    const openTree = (id: VertexId): Promise<VertexResult> => this.#treeOf(vertexOf(plan, id));
    this.#keys = new VertexKeys({ plan, environment, openTree });
    const materialize = (): Promise<never> =>
      Promise.reject(new Error("a forecast fetches no layer"));
    const remote =
      environment.remote && openRemoteHits({ plan, environment, keys: this.#keys, materialize });
    this.#records = new StepRecords({ plan, environment, keys: this.#keys, remote });
    this.trace = new BuildTrace({ plan, environment, keys: this.#keys, remote });
  }

  /** @throws what would keep a build from beginning, located at its instruction: a source that is not there */
  async walk(): Promise<void> {
    await this.#askForDownloads();
    for (const { vertex } of this.#plan.targets) this.#needed.add(vertex);
    for (const vertex of this.#plan.vertices.toReversed()) await this.#findByDefinition(vertex);
    for (const vertex of this.#plan.vertices) {
      this.#environment.signal.throwIfAborted();
      if (!isStep(vertex.op) || this.#fates.has(vertex.id)) continue;
      this.#fates.set(vertex.id, await this.#fateByContent(vertex));
    }
  }

  /** Of a step. */
  fateOf(id: VertexId): Fate {
    return this.#fates.get(id) ?? { type: "skipped" };
  }

  /** The download that keeps the key of a step from being known. */
  unseenBelow(id: VertexId): Vertex | undefined {
    const download = this.#unseen.get(id);
    return download === undefined ? undefined : vertexOf(this.#plan, download);
  }

  /** How long the step took when it ran for the key that it has now, in milliseconds. */
  async recordedMs(id: VertexId): Promise<number | undefined> {
    const { definition } = await this.#keys.known(id);
    if (definition === undefined) return undefined;
    return (await this.#environment.cache.peek(definition.digest))?.durationMs;
  }

  /** Without a checksum the definition of who reads it is made of what the server has, so every build asks. */
  async #askForDownloads(): Promise<void> {
    await Promise.all(
      this.#plan.vertices.map(async (vertex) => {
        if (vertex.op.type === "http") await this.#peek(vertex, vertex.op);
      }),
    );
    for (const { id, op, inputs } of this.#plan.vertices) {
      const below = inputs.flatMap((input) => this.#unseen.get(input) ?? [])[0];
      const isUnseen = op.type === "http" && op.checksum === undefined && !this.#downloads.has(id);
      const source = isUnseen ? id : below;
      if (source !== undefined) this.#unseen.set(id, source);
    }
  }

  async #peek(vertex: Vertex, op: HttpOp): Promise<void> {
    const found = await peekHttp(op, this.#environment).catch((error: unknown) => {
      throw locateAt(vertex, error);
    });
    if (found !== undefined) this.#downloads.set(vertex.id, found);
  }

  /** Users before inputs: what is found by its definition needs no inputs. */
  async #findByDefinition(vertex: Vertex): Promise<void> {
    const { id, op, inputs } = vertex;
    if (!isStep(op)) return;
    const record = this.#unseen.has(id) ? undefined : await this.#defined(id);
    if (record !== undefined) this.#note(vertex, record);
    else if (!this.#needed.has(id)) this.#fates.set(id, { type: "skipped" });
    else for (const input of inputs) this.#needed.add(input);
  }

  async #defined(id: VertexId): Promise<StepRecord | undefined> {
    // Also where no record is asked for: reasons are made of it.
    await this.#keys.definition(id);
    return this.#records.findByDefinition(id);
  }

  #note({ id }: Vertex, record: StepRecord): void {
    this.#found.set(id, record);
    this.#fates.set(id, { type: "cached" });
    this.trace.note(id, { outcome: "cached", record });
  }

  async #fateByContent(vertex: Vertex): Promise<Fate> {
    if (vertex.ignoreCache === true) return { type: "runs" };
    const waiting = await this.#waitsFor(vertex);
    if (waiting.length > 0) return { type: "depends", on: waiting };
    const inputs = await Promise.all(vertex.inputs.map((id) => this.#result(id)));
    const content = await this.#keys.content(vertex, inputs).catch((error: unknown) => {
      throw locateAt(vertex, error);
    });
    const record = await this.#records.findByContent(vertex, content, inputs);
    if (record !== undefined) {
      this.#note(vertex, record);
      return { type: "cached" };
    }
    // Of two equal steps one runs and the other takes its result; which one is a race.
    const twin = this.#running.get(content.digest);
    if (twin !== undefined) return { type: "depends", on: [twin] };
    this.#running.set(content.digest, vertex.id);
    return { type: "runs" };
  }

  /** Inputs of which more has to be known before the key by content can be made. */
  async #waitsFor({ op, inputs }: Vertex): Promise<readonly VertexId[]> {
    const waiting = new Set<VertexId>();
    for (const [index, id] of inputs.entries()) {
      const readsFiles = index > 0 && op.type !== "merge";
      if (!(await this.#isHere(vertexOf(this.#plan, id), { readsFiles }))) waiting.add(id);
    }
    return [...waiting];
  }

  /** Whether what a vertex gives is known; with `readsFiles` its files have to be here besides. */
  async #isHere({ id, op }: Vertex, { readsFiles }: { readonly readsFiles: boolean }) {
    switch (op.type) {
      case "scratch":
      case "context":
        return true;
      case "http":
        return this.#downloads.has(id);
      case "git":
        // Whether its files were fetched before is not asked.
        return false;
      case "image":
        return !readsFiles || this.#isUnpacked(op.chainId);
      default: {
        const record = this.#found.get(id);
        return record !== undefined && (!readsFiles || this.#isUnpacked(record.chainId));
      }
    }
  }

  async #isUnpacked(chainId: StepRecord["chainId"]): Promise<boolean> {
    return chainId === undefined || (await this.#environment.snapshots.stat(chainId)) !== undefined;
  }

  /** Of a vertex that is here. */
  async #result(id: VertexId): Promise<VertexResult> {
    const vertex = vertexOf(this.#plan, id);
    const { op } = vertex;
    if (op.type === "context" || op.type === "http") return this.#treeOf(vertex);
    const { diffIds, chainId, created } = this.#found.get(id) ?? {
      // Of a base the key names the state alone.
      diffIds: [],
      chainId: op.type === "image" ? op.chainId : undefined,
      created: "",
    };
    return { type: "layers", diffIds, chainId, created };
  }

  async #treeOf({ id, op, name }: Vertex): Promise<TreeResult> {
    if (op.type === "context") return openContext(op, this.#environment);
    const download = this.#downloads.get(id);
    if (download === undefined) throw new Error(`${name} was not asked for`);
    return download;
  }
}
