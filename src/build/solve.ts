import { availableParallelism } from "node:os";
import type { TracedStep } from "../cache/index.ts";
import { coreError, createLimiter, monotonicMs, unreachable, type Digest } from "../core/index.ts";
import type { Plan, Vertex, VertexId } from "../plan/index.ts";
import { BuildTrace, type SolvedStep } from "./build-trace.ts";
import { CachedSteps } from "./cached-steps.ts";
import type { BuildEnvironment } from "./environment.ts";
import { type CacheKey, type FileFields, opFields } from "./keys.ts";
import { openContext } from "./ops/context.ts";
import { canCountInPassing, executeCopy } from "./ops/copy.ts";
import { executeExec } from "./ops/exec.ts";
import { openGit } from "./ops/git.ts";
import { openHttp } from "./ops/http.ts";
import { resolveImage } from "./ops/image.ts";
import { executeMerge } from "./ops/merge.ts";
import { executeMkdir } from "./ops/mkdir.ts";
import type { OpRequest } from "./ops/request.ts";
import { isForeignTree, locateAt, readVertices, vertexOf } from "./plan-vertices.ts";
import { openRemoteHits } from "./remote-hits.ts";
import type { LayersResult, VertexResult } from "./result.ts";
import { StepRecords, type StepRecord } from "./step-records.ts";
import type { Step } from "./steps.ts";
import { VertexKeys } from "./vertex-keys.ts";

export interface Solution {
  /** Result of each of the plan's targets, in their order. */
  readonly targets: readonly LayersResult[];
  /** Every vertex of the plan and what became of it: the next build's explanations are made from that. */
  readonly trace: readonly TracedStep[];
  /** Keys of the records that were written, to be marked durable once the filesystem is synced. */
  readonly written: readonly Digest[];
  /** Steps with a record, in the order of the plan, to be known by other machines. */
  readonly solved: readonly SolvedStep[];
}

/**
 * Executes a plan: walks from its targets towards the sources, asks the cache first by definition and then by content,
 * and runs what is left, independent vertices at the same time. A vertex whose result is cached does not look at its
 * inputs, so a fully cached build reads no layer. The first failure cancels everything else; when the promise settles
 * nothing of the build is running any more.
 *
 * @throws the first failure, located at its instruction
 */
export async function solve(plan: Plan, environment: BuildEnvironment): Promise<Solution> {
  const solver = new Solver(plan, environment);
  const cancel = (): void => solver.cancel(environment.signal.reason);
  environment.signal.addEventListener("abort", cancel);
  if (environment.signal.aborted) cancel();
  try {
    const targets = await Promise.all(plan.targets.map((target) => solver.layers(target.vertex)));
    const trace = await solver.trace();
    return { targets, trace, written: solver.written, solved: solver.solvedSteps(trace) };
  } catch (error) {
    await solver.settled();
    throw solver.failure ?? (environment.signal.aborted ? solver.signal.reason : error);
  } finally {
    environment.signal.removeEventListener("abort", cancel);
  }
}

/** Both keys of a step. */
interface StepKeys {
  readonly definition: CacheKey;
  readonly content: CacheKey;
}

interface StepRun extends Pick<OpRequest, "tellCounted"> {
  /** Asked when the step has ended. */
  readonly keys: () => Promise<StepKeys>;
}

interface StepWork {
  readonly inputs: readonly VertexResult[];
  readonly step: Step;
  readonly tellCounted: OpRequest["tellCounted"] | undefined;
}

class Solver {
  failure: unknown;
  readonly #plan: Plan;
  readonly #environment: BuildEnvironment;
  readonly #abort = new AbortController();
  readonly #keys: VertexKeys;
  readonly #records: StepRecords;
  readonly #trace: BuildTrace;
  readonly #cached: CachedSteps;
  readonly #results = new Map<VertexId, Promise<VertexResult>>();
  readonly #running = new Map<Digest, Promise<StepRecord>>();
  /** Copies that count on the way, by all that is known of them before. */
  readonly #counting = new Map<string, Promise<StepRecord>>();
  // RUN steps mostly wait (network, disk, sleep), so more of them than cores run at once; file work is bound by cores.
  readonly #execSlots = createLimiter(Math.max(8, 2 * availableParallelism()));
  readonly #fileSlots = createLimiter(Math.max(2, availableParallelism()));
  readonly #read: ReadonlySet<VertexId>;
  readonly #emptied = new Map<string, Promise<void>>();

  constructor(plan: Plan, given: BuildEnvironment) {
    const environment = { ...given, signal: this.#abort.signal };
    const openTree = (id: VertexId): Promise<VertexResult> => this.#result(id);
    const keys = new VertexKeys({ plan, environment, openTree });
    const materialize = (id: VertexId): Promise<void> => this.#materialize(id);
    // Loaded where the build was told of caches.
    const remote = environment.remote && openRemoteHits({ plan, environment, keys, materialize });
    const records = new StepRecords({ plan, environment, keys, remote });
    const trace = new BuildTrace({ plan, environment, keys, remote });
    this.#plan = plan;
    this.#read = readVertices(plan, { targets: given.readsResult === true });
    this.#environment = environment;
    this.#keys = keys;
    this.#records = records;
    this.#trace = trace;
    this.#cached = new CachedSteps({ plan, environment, records, trace });
  }

  /** Brings the files of an image. */
  async #materialize(id: VertexId): Promise<void> {
    const result = await this.#result(id);
    if (result.type === "layers") await result.materialize?.();
  }

  /** Aborted by a failure and from outside, always with CANCELED as its reason. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get written(): readonly Digest[] {
    return this.#records.written;
  }

  trace(): Promise<readonly TracedStep[]> {
    return this.#trace.steps();
  }

  solvedSteps(trace: readonly TracedStep[]): readonly SolvedStep[] {
    return this.#trace.solved(trace);
  }

  /** Stops whatever is under way. What is stopped rejects with CANCELED, whatever it was that went wrong. */
  cancel(cause: unknown): void {
    this.#abort.abort(coreError("CANCELED", "build: canceled", { cause }));
  }

  /** Waits until no vertex is being worked on, whatever their outcomes. */
  async settled(): Promise<void> {
    for (let known = -1; known !== this.#results.size;) {
      known = this.#results.size;
      await Promise.allSettled([...this.#results.values(), ...this.#running.values()]);
      await this.#keys.settled();
    }
  }

  async layers(id: VertexId): Promise<LayersResult> {
    const result = await this.#result(id);
    if (result.type === "layers") return result;
    throw coreError("INTERNAL", `use ${this.#vertex(id).name} as a root filesystem`);
  }

  /** Each vertex is worked on once, however many ask for it. */
  #result(id: VertexId): Promise<VertexResult> {
    let result = this.#results.get(id);
    if (result === undefined) {
      result = this.#solveVertex(this.#vertex(id)).catch((error: unknown) => this.#fail(id, error));
      this.#results.set(id, result);
    }
    return result;
  }

  /**
   * The first failure is the build's. A vertex that is no instruction leaves it to the instruction that reads it, which
   * knows the line.
   */
  #fail(id: VertexId, error: unknown): never {
    const vertex = this.#vertex(id);
    const located = locateAt(vertex, error);
    if (!this.signal.aborted && vertex.location !== undefined) {
      this.failure = located;
      this.cancel(located);
    }
    throw located;
  }

  #vertex(id: VertexId): Vertex {
    return vertexOf(this.#plan, id);
  }

  async #solveVertex(vertex: Vertex): Promise<VertexResult> {
    this.signal.throwIfAborted();
    const { op } = vertex;
    switch (op.type) {
      case "scratch":
        return emptyRoot(this.#environment.implicitTime);
      case "context":
        return openContext(op, this.#environment);
      case "http":
        return openHttp(op, { environment: this.#environment, name: vertex.name });
      case "git":
        return openGit(op, { environment: this.#environment, name: vertex.name });
      case "image":
        return resolveImage(op, {
          environment: this.#environment,
          name: vertex.name,
          claimDisplay: () => this.#cached.claimDisplay(vertex.id),
        });
      case "exec":
      case "copy":
      case "merge":
      case "mkdir":
        return this.#solveStep(vertex);
      default:
        return unreachable(op);
    }
  }

  async #solveStep(vertex: Vertex): Promise<LayersResult> {
    const copied = await this.#copyCounting(vertex);
    if (copied !== undefined) return copied;
    const definition = await this.#keys.definition(vertex.id);
    const known = await this.#records.findByDefinition(vertex.id);
    if (known !== undefined) {
      await this.#records.adopt(definition, known);
      return this.#useCached(vertex, known);
    }
    const inputs = await Promise.all(vertex.inputs.map((id) => this.#result(id)));
    this.signal.throwIfAborted();
    const content = await this.#keys.content(vertex, inputs);
    const stored = await this.#records.findByContent(vertex, content, inputs);
    const running = this.#running.get(content.digest);
    const equal = stored ?? (running && (await running));
    if (equal !== undefined) {
      await this.#records.adopt(content, equal);
      await this.#records.rememberDefinition(vertex, definition, equal);
      return this.#useCached(vertex, equal);
    }
    // No pause since the look at what is running: two equal steps would both start.
    const work =
      vertex.op.type === "merge"
        ? this.#runMerge(vertex, inputs, { definition, content })
        : this.#runStep(vertex, inputs, { keys: async () => ({ definition, content }) });
    this.#running.set(content.digest, work);
    return toLayers(await work);
  }

  /** Whether the cache may know something of a step. A target that was built before is not the first that is looked up. */
  async #mayFind(vertex: Vertex): Promise<boolean> {
    if (vertex.ignoreCache === true) return false;
    return (await this.#trace.hasPrevious()) || this.#records.areAny();
  }

  async #useCached(vertex: Vertex, record: StepRecord): Promise<LayersResult> {
    await this.#cached.tell(vertex, record);
    return toLayers(record);
  }

  async #runStep(
    vertex: Vertex,
    inputs: readonly VertexResult[],
    { keys, tellCounted }: StepRun,
  ): Promise<StepRecord> {
    const [base] = inputs;
    // Before its turn, so that a base is shown before the step on it and no step waits for a download of another.
    if (base?.type === "layers") await base.materialize?.();
    const slots = vertex.op.type === "exec" ? this.#execSlots : this.#fileSlots;
    const waitingSince = this.#environment.clock.now().getTime();
    return slots(async () => {
      const why = await this.#trace.why(vertex);
      this.signal.throwIfAborted();
      this.#cached.claimDisplay(vertex.id);
      return this.#recorded(vertex, keys, () =>
        this.#environment.steps
          .run({ name: vertex.name, why, waitingSince }, async (step) =>
            this.#execute(vertex, { inputs, step, tellCounted }),
          )
          // At once: else the next step would start on the place that becomes free.
          .catch((error: unknown) => this.#fail(vertex.id, error)),
      );
    });
  }

  /** Whether a copy can be counted, as far as the trees from outside tell: before what it stands on is there. */
  async #mayCount({ id, op, inputs }: Vertex): Promise<boolean> {
    if (op.type !== "copy") return false;
    const treeOf = async (input: VertexId): Promise<VertexResult | undefined> =>
      isForeignTree(vertexOf(this.#plan, input).op) ? this.#result(input) : undefined;
    const [base, ...others] = await Promise.all(inputs.map(treeOf));
    const environment = this.#environment;
    return canCountInPassing(op, { base, others, environment, isUnread: !this.#read.has(id) });
  }

  /** A copy for which nothing can be found reads its files once, and learns from that what its keys are. */
  async #copyCounting(vertex: Vertex): Promise<LayersResult | undefined> {
    const { id, op } = vertex;
    if (op.type !== "copy" || this.#keys.hasRead(vertex) || (await this.#mayFind(vertex)))
      return undefined;
    // What is missing is told now, not behind the steps before.
    if (!(await this.#mayCount(vertex))) await this.#keys.read(vertex);
    const inputs = await Promise.all(vertex.inputs.map((input) => this.#result(input)));
    this.signal.throwIfAborted();
    const [base, ...others] = inputs;
    if (base?.type !== "layers" || this.#keys.hasRead(vertex)) return undefined;
    const sources = { base, others, environment: this.#environment, isUnread: !this.#read.has(id) };
    if (!(await canCountInPassing(op, sources))) return undefined;
    const keys = async (): Promise<StepKeys> => ({
      definition: await this.#keys.definition(id),
      content: await this.#keys.content(vertex, inputs),
    });
    const tellCounted = (files: FileFields): void => {
      this.#keys.takeCounted(vertex, files);
    };
    const { implicitTime } = this.#environment;
    const same = JSON.stringify([opFields(op, implicitTime), base.chainId, vertex.inputs.slice(1)]);
    const before = this.#counting.get(same);
    if (before !== undefined) {
      // Its result is found by content then.
      await before.catch(() => undefined);
      return undefined;
    }
    const work = this.#runStep(vertex, inputs, { keys, tellCounted });
    this.#counting.set(same, work);
    const record = await work;
    const { content } = await this.#keys.known(id);
    if (content !== undefined) this.#running.set(content.digest, work);
    return toLayers(record);
  }

  /** No step of its own on the screen: the copy whose layer it places was shown. */
  async #runMerge(
    vertex: Vertex,
    inputs: readonly VertexResult[],
    keys: StepKeys,
  ): Promise<StepRecord> {
    const [base, layer] = inputs;
    if (base?.type !== "layers" || layer?.type !== "layers")
      throw coreError("INTERNAL", `merge ${vertex.name} without layers`);
    await base.materialize?.();
    await layer.materialize?.();
    return this.#fileSlots(async () => {
      this.signal.throwIfAborted();
      const environment = this.#environment;
      const work = (): Promise<LayersResult> => executeMerge({ environment, base, layer });
      return this.#recorded(vertex, async () => keys, work);
    });
  }

  /** Does the work of a step and remembers what it came to. */
  async #recorded(
    vertex: Vertex,
    keys: () => Promise<StepKeys>,
    work: () => Promise<LayersResult>,
  ): Promise<StepRecord> {
    const started = monotonicMs();
    const { diffIds, chainId, created } = await work();
    const record = {
      diffIds,
      chainId,
      created,
      durationMs: Math.round(monotonicMs() - started),
    };
    await this.#records.remember(vertex, await keys(), record);
    this.#trace.note(vertex.id, { outcome: "ran", record });
    return record;
  }

  #emptyOnce(cacheMount: string, empty: () => Promise<void>): Promise<void> {
    let emptying = this.#emptied.get(cacheMount);
    if (emptying === undefined) {
      emptying = empty();
      this.#emptied.set(cacheMount, emptying);
    }
    return emptying;
  }

  /** What a step made is only remembered when no secret stands in it. */
  async #execute(vertex: Vertex, work: StepWork): Promise<LayersResult> {
    const watched = this.#environment.secretWatch?.step({
      name: vertex.name,
      step: work.step,
      signal: this.signal,
    });
    if (watched === undefined) return this.#executeOp(vertex, work);
    const result = await this.#executeOp(vertex, { ...work, step: watched.step });
    await work.step.phase("search", () => watched.finish(result));
    return result;
  }

  async #executeOp(vertex: Vertex, work: StepWork): Promise<LayersResult> {
    const { op } = vertex;
    const [base, ...others] = work.inputs;
    if (base?.type !== "layers") throw coreError("INTERNAL", `start ${vertex.name} without a root`);
    const request: OpRequest = {
      environment: this.#environment,
      base,
      others,
      step: work.step,
      isUnread: !this.#read.has(vertex.id),
      ...(work.tellCounted && { tellCounted: work.tellCounted }),
      ...(vertex.ignoreCache === true ? { emptyOnce: this.#emptyOnce.bind(this) } : {}),
    };
    switch (op.type) {
      case "exec":
        return executeExec(op, request);
      case "copy":
        return executeCopy(op, request);
      case "mkdir":
        return executeMkdir(op, request);
      default:
        throw coreError("INTERNAL", `execute ${vertex.name}`);
    }
  }
}

/** Epoch as its time, so that building on nothing gives the same image at any time. */
function emptyRoot(implicitTime: bigint): LayersResult {
  const created = new Date(Number(implicitTime / 1_000_000n)).toISOString();
  return { type: "layers", diffIds: [], chainId: undefined, created };
}

function toLayers(record: StepRecord): LayersResult {
  const { diffIds, chainId, created, materialize, timeOf } = record;
  return {
    ...{ type: "layers", diffIds, chainId, created },
    ...(materialize === undefined ? {} : { materialize }),
    ...(timeOf === undefined ? {} : { timeOf }),
  };
}
