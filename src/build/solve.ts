import { availableParallelism } from "node:os";
import type { BuildRecord, Cache, KeyField, TracedStep } from "../cache/index.ts";
import {
  coreError,
  isTsbuildError,
  locateError,
  unreachable,
  type Digest,
  createLimiter,
  monotonicMs,
} from "../core/index.ts";
import type {
  CopyOp,
  ExecOp,
  MergeOp,
  MkdirOp,
  Op,
  Plan,
  Vertex,
  VertexId,
} from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import { openExplainer, type Explainer, type KnownVertex } from "./explain/explainer.ts";
import { formatReason } from "./explain/format-reason.ts";
import {
  isSameRead,
  makeKey,
  opFields,
  type CacheKey,
  type FileFields,
  type KeyPart,
} from "./keys.ts";
import { openContext } from "./ops/context.ts";
import { executeCopy } from "./ops/copy.ts";
import { executeExec } from "./ops/exec.ts";
import { gitFields, openGit } from "./ops/git.ts";
import { openHttp } from "./ops/http.ts";
import { isUnpacked, resolveImage } from "./ops/image.ts";
import { executeMerge } from "./ops/merge.ts";
import { executeMkdir } from "./ops/mkdir.ts";
import type { OpRequest } from "./ops/request.ts";
import { readFieldsOf, treeOf } from "./read-set.ts";
import type { LayersResult, VertexResult } from "./result.ts";
import type { Step } from "./steps.ts";

export interface Solution {
  /** Result of each of the plan's targets, in their order. */
  readonly targets: readonly LayersResult[];
  /** Every vertex of the plan and what became of it: the next build's explanations are made from that. */
  readonly trace: readonly TracedStep[];
  /** Keys of the records that were written, to be marked durable once the filesystem is synced. */
  readonly written: readonly Digest[];
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
    return { targets, trace: await solver.trace(), written: solver.written };
  } catch (error) {
    await solver.settled();
    throw solver.failure ?? (environment.signal.aborted ? solver.signal.reason : error);
  } finally {
    environment.signal.removeEventListener("abort", cancel);
  }
}

/** What a step came to, whether it ran now or is remembered. */
type StepRecord = Parameters<Cache["store"]>[2];

/** Checksums of what an op reads of one input. */
interface FilesRead {
  readonly fields: readonly FileFields[];
  /** Milliseconds of `monotonicMs`. */
  readonly readAt: number;
}

/** What became of a step. */
interface StepOutcome {
  readonly outcome: "cached" | "ran";
  readonly record: StepRecord;
}

const momentMs = 1000;

class Solver {
  failure: unknown;
  readonly written: Digest[] = [];
  readonly #plan: Plan;
  readonly #environment: BuildEnvironment;
  /** Steps that are to run again, and all that stands on them: no remembered definition counts for these. */
  readonly #renewed: ReadonlySet<VertexId>;
  readonly #abort = new AbortController();
  readonly #results = new Map<VertexId, Promise<VertexResult>>();
  readonly #definitions = new Map<VertexId, Promise<CacheKey>>();
  readonly #hits = new Map<VertexId, Promise<StepRecord | undefined>>();
  readonly #running = new Map<Digest, Promise<StepRecord>>();
  readonly #shown = new Set<VertexId>();
  readonly #contents = new Map<VertexId, CacheKey>();
  readonly #outcomes = new Map<VertexId, StepOutcome>();
  #explainer: Promise<Explainer> | undefined;
  #last: Promise<BuildRecord | undefined> | undefined;
  readonly #told = new Map<VertexId, Promise<void>>();
  // RUN steps mostly wait (network, disk, sleep), so more of them than cores run at once; file work is bound by cores.
  readonly #execSlots = createLimiter(Math.max(8, 2 * availableParallelism()));
  readonly #reading = createLimiter(1);
  /** What definitions were made of, by vertex and input. */
  readonly #reads = new Map<string, FilesRead>();
  /** Steps whose files are others by now than their definitions tell, and all that stands on them. */
  readonly #outdated = new Set<VertexId>();
  readonly #emptied = new Map<string, Promise<void>>();
  readonly #fileSlots = createLimiter(Math.max(2, availableParallelism()));

  constructor(plan: Plan, environment: BuildEnvironment) {
    this.#plan = plan;
    this.#renewed = renewedVertices(plan);
    this.#environment = { ...environment, signal: this.#abort.signal };
  }

  /** Aborted by a failure and from outside, always with CANCELED as its reason. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Stops whatever is under way. What is stopped rejects with CANCELED, whatever it was that went wrong. */
  cancel(cause: unknown): void {
    this.#abort.abort(coreError("CANCELED", "build: canceled", { cause }));
  }

  /** Waits until no vertex is being worked on, whatever their outcomes. */
  async settled(): Promise<void> {
    for (let known = -1; known !== this.#results.size;) {
      known = this.#results.size;
      await Promise.allSettled([
        ...this.#results.values(),
        ...this.#running.values(),
        ...this.#definitions.values(),
      ]);
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
    const located = this.#locate(id, error);
    if (!this.signal.aborted && this.#vertex(id).location !== undefined) {
      this.failure = located;
      this.cancel(located);
    }
    throw located;
  }

  #locate(id: VertexId, error: unknown): unknown {
    const { location } = this.#vertex(id);
    if (location === undefined || isTsbuildError(error, "CANCELED")) return error;
    return locateError(error, location);
  }

  #vertex(id: VertexId): Vertex {
    const vertex = this.#plan.vertices[id];
    if (vertex === undefined) throw coreError("INTERNAL", `look up vertex ${String(id)}`);
    return vertex;
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
          claimDisplay: () => this.#claimDisplay(vertex.id),
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
    const definition = await this.#definition(vertex.id);
    const known = await this.#definitionHit(vertex.id);
    if (known !== undefined) return this.#useCached(vertex, known);
    const inputs = await Promise.all(vertex.inputs.map((id) => this.#result(id)));
    this.signal.throwIfAborted();
    const content = await this.#contentKey(vertex, inputs);
    this.#contents.set(vertex.id, content);
    if (vertex.inputs.some((id) => this.#outdated.has(id))) this.#outdated.add(vertex.id);
    const stored = vertex.ignoreCache === true ? undefined : await this.#lookup(content);
    const running = this.#running.get(content.digest);
    const equal = stored ?? (running && (await running));
    if (equal !== undefined) {
      await this.#rememberDefinition(vertex, definition, equal);
      return this.#useCached(vertex, equal);
    }
    // No pause since the look at what is running: two equal steps would both start.
    const work =
      vertex.op.type === "merge"
        ? this.#runMerge(vertex, inputs, { definition, content })
        : this.#runStep(vertex, inputs, { definition, content });
    this.#running.set(content.digest, work);
    return toLayers(await work);
  }

  /** Looked up once, so that whoever uses the record and whoever tells of it agree. */
  #definitionHit(id: VertexId): Promise<StepRecord | undefined> {
    let hit = this.#hits.get(id);
    if (hit === undefined) {
      hit = this.#renewed.has(id)
        ? Promise.resolve(undefined)
        : this.#definition(id).then((key) => this.#lookup(key));
      this.#hits.set(id, hit);
    }
    return hit;
  }

  /** A record counts only while its files are here; otherwise the step runs again. */
  async #lookup(key: CacheKey): Promise<StepRecord | undefined> {
    const record = await this.#environment.cache.lookup(key.digest);
    if (record?.chainId === undefined) return undefined;
    const snapshot = await this.#environment.snapshots.stat(record.chainId);
    return snapshot === undefined ? undefined : record;
  }

  async #remember(key: CacheKey, record: StepRecord): Promise<void> {
    await this.#environment.cache.store(key.digest, key.object, record);
    this.written.push(key.digest);
  }

  async #rememberDefinition(vertex: Vertex, key: CacheKey, record: StepRecord): Promise<void> {
    if (!this.#outdated.has(vertex.id)) await this.#remember(key, record);
  }

  async #useCached(vertex: Vertex, record: StepRecord): Promise<LayersResult> {
    this.#tellAncestors(vertex);
    await Promise.all(vertex.inputs.map((id) => this.#told.get(id) ?? Promise.resolve()));
    this.#showCached(vertex, record);
    return toLayers(record);
  }

  /** A hit does not look at its inputs; those that are in the cache too are told as such, the others are not told. */
  #tellAncestors(vertex: Vertex): void {
    for (const ancestor of this.#ancestors(vertex, this.#told)) {
      const telling = this.#tell(ancestor);
      // Awaited by whoever asked for it first; a second one must not see an unhandled rejection.
      telling.catch(() => undefined);
      this.#told.set(ancestor.id, telling);
    }
  }

  /** Tells of a vertex that is in the cache, after its inputs. */
  async #tell(vertex: Vertex): Promise<void> {
    const { op } = vertex;
    await Promise.all(vertex.inputs.map((id) => this.#told.get(id) ?? Promise.resolve()));
    if (op.type === "image") {
      const isHere = await isUnpacked(op, this.#environment);
      if (isHere && this.#claimDisplay(vertex.id)) this.#environment.steps.cached(vertex.name);
    } else if (isStep(op)) {
      const record = await this.#definitionHit(vertex.id);
      if (record !== undefined) this.#showCached(vertex, record);
    }
  }

  /**
   * What `vertex` is built from, inputs before users, without what is `known` and what that is built from. No recursion:
   * a chain may be thousands of steps long.
   */
  #ancestors(vertex: Vertex, known: ReadonlyMap<VertexId, unknown>): Vertex[] {
    const found = new Set<VertexId>();
    const pending = [...vertex.inputs];
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (known.has(id) || found.has(id)) continue;
      found.add(id);
      pending.push(...this.#vertex(id).inputs);
    }
    return Array.from(found)
      .sort((a, b) => a - b)
      .map((id) => this.#vertex(id));
  }

  #showCached(vertex: Vertex, record: StepRecord): void {
    if (!this.#outcomes.has(vertex.id))
      this.#outcomes.set(vertex.id, { outcome: "cached", record });
    if (this.#claimDisplay(shownAs(vertex))) this.#environment.steps.cached(vertex.name);
  }

  /** Every vertex of the plan, in its order. */
  async trace(): Promise<TracedStep[]> {
    const last = (await this.#lastBuild())?.steps ?? [];
    const before = new Map(last.map((step) => [step.key, step]));
    const traced: TracedStep[] = [];
    for (const vertex of this.#plan.vertices) {
      const { name, inputs, op } = vertex;
      const { definition, content, result } = await this.#known(vertex.id);
      const { outcome, record } = this.#outcomes.get(vertex.id) ?? {};
      // A step that is cached by its definition looks at nothing else: what was known of it stays true.
      const same = definition === undefined ? undefined : before.get(definition.digest);
      traced.push(
        withoutUndefined({
          name,
          inputs,
          key: definition?.digest,
          content: content?.digest ?? same?.content,
          fields: definition === undefined || isStep(op) ? undefined : ownFields(op, definition),
          result: result ?? same?.result,
          outcome,
          durationMs: record?.durationMs,
        }),
      );
    }
    return traced;
  }

  /** What is known of a vertex without waiting for it to be solved. */
  async #known(id: VertexId): Promise<KnownVertex> {
    const { op } = this.#vertex(id);
    const definition = await this.#definitions.get(id);
    const record = this.#outcomes.get(id)?.record;
    const result =
      op.type === "image" ? (op.chainId ?? "scratch") : record && (record.chainId ?? "scratch");
    return { definition, content: this.#contents.get(id), result };
  }

  /** A record that cannot be read is none: it serves explanations alone. */
  #lastBuild(): Promise<BuildRecord | undefined> {
    return (this.#last ??= this.#environment.lastBuild().catch(() => undefined));
  }

  /** Why a step runs, in words. */
  async #why(vertex: Vertex): Promise<string> {
    this.#explainer ??= this.#lastBuild().then((previous) =>
      openExplainer({
        plan: this.#plan,
        cache: this.#environment.cache,
        previous,
        known: (id) => this.#known(id),
      }),
    );
    return formatReason(await (await this.#explainer).explain(vertex));
  }

  /** True for the first who asks: each vertex is shown once. */
  #claimDisplay(id: VertexId): boolean {
    if (this.#shown.has(id)) return false;
    this.#shown.add(id);
    return true;
  }

  async #definition(id: VertexId): Promise<CacheKey> {
    const vertex = this.#vertex(id);
    for (const each of [...this.#ancestors(vertex, this.#definitions), vertex]) {
      if (this.#definitions.has(each.id) || isForeignTree(each.op)) continue;
      const key = this.#computeDefinition(each).catch((error: unknown) => {
        throw this.#locate(each.id, error);
      });
      // Awaited by whoever asks; a second asker must not see an unhandled rejection of the first.
      key.catch(() => undefined);
      this.#definitions.set(each.id, key);
    }
    return this.#definitionOf(id);
  }

  #definitionOf(id: VertexId): Promise<CacheKey> {
    const key = this.#definitions.get(id);
    if (key === undefined) throw coreError("INTERNAL", `define ${this.#vertex(id).name}`);
    return key;
  }

  /** Op and keys of inputs. A tree that has no definition of its own (a context, a URL) enters by its files. */
  async #computeDefinition(vertex: Vertex): Promise<CacheKey> {
    const { op } = vertex;
    const environment = this.#environment;
    const fields: KeyPart[] =
      op.type === "git"
        ? [await gitFields(op, environment)]
        : [opFields(op, environment.implicitTime)];
    for (const [index, id] of vertex.inputs.entries()) {
      if (isForeignTree(this.#vertex(id).op)) {
        const read = await this.#readFields(op, { index, result: await this.#result(id) });
        this.#reads.set(`${String(vertex.id)} ${String(index)}`, read);
        fields.push(...read.fields);
      } else {
        const { digest } = await this.#definitionOf(id);
        fields.push([{ name: index === 0 ? "parent" : `from.${String(index)}`, value: digest }]);
      }
    }
    return makeKey("definition", fields);
  }

  /** Op, the exact root that it works on, and the checksums of exactly the files that it reads. */
  async #contentKey(vertex: Vertex, inputs: readonly VertexResult[]): Promise<CacheKey> {
    const { op } = vertex;
    const fields: KeyPart[] = [opFields(op, this.#environment.implicitTime)];
    for (const [index, input] of inputs.entries()) {
      if (index === 0 && input.type === "layers") {
        fields.push([{ name: "base", value: input.chainId ?? "scratch" }]);
      } else if (op.type === "merge" && input.type === "layers") {
        fields.push([{ name: "layers", value: input.diffIds }]);
      } else {
        const read = await this.#contentFields(vertex, { index, result: input });
        // The definition names these files too, and one list of 20,000 is enough on the disk.
        fields.push(...(input.type === "tree" ? read.map(({ all }) => [all]) : read));
      }
    }
    return makeKey("content", fields);
  }

  /**
   * Files that were looked at this moment are not looked at again: a change since then is found when they are copied.
   * Minutes later, when the layers below had to be made first, the files as they are now count; then the definition is
   * that of another build.
   */
  async #contentFields(
    vertex: Vertex,
    input: { readonly index: number; readonly result: VertexResult },
  ): Promise<readonly FileFields[]> {
    const before = this.#reads.get(`${String(vertex.id)} ${String(input.index)}`);
    if (before !== undefined && monotonicMs() - before.readAt < momentMs) return before.fields;
    const { fields } = await this.#readFields(vertex.op, input);
    if (before !== undefined && !isSameRead(fields, before.fields)) this.#outdated.add(vertex.id);
    return fields;
  }

  /** One after the other: steps often read the same files, and the second finds their digests remembered. */
  async #readFields(
    op: Op,
    input: { readonly index: number; readonly result: VertexResult },
  ): Promise<FilesRead> {
    const { index, result } = input;
    const environment = this.#environment;
    const tree = await treeOf(result, environment);
    const digest = result.type === "tree" ? result.digest : undefined;
    const fields = await this.#reading(() =>
      readFieldsOf({ op, index, tree, digest, environment }),
    );
    return { fields, readAt: monotonicMs() };
  }

  async #runStep(
    vertex: Vertex,
    inputs: readonly VertexResult[],
    keys: { readonly definition: CacheKey; readonly content: CacheKey },
  ): Promise<StepRecord> {
    const [base] = inputs;
    // Before its turn, so that a base is shown before the step on it and no step waits for a download of another.
    if (base?.type === "layers") await base.materialize?.();
    const slots = vertex.op.type === "exec" ? this.#execSlots : this.#fileSlots;
    return slots(async () => {
      const why = await this.#why(vertex);
      this.signal.throwIfAborted();
      this.#claimDisplay(vertex.id);
      const started = monotonicMs();
      const { diffIds, chainId, created } = await this.#environment.steps
        .run({ name: vertex.name, why }, async (step) => this.#execute(vertex, { inputs, step }))
        // At once: else the next step would start on the place that becomes free.
        .catch((error: unknown) => this.#fail(vertex.id, error));
      const durationMs = Math.round(monotonicMs() - started);
      const record = { diffIds, chainId, created, durationMs };
      await this.#remember(keys.content, record);
      await this.#rememberDefinition(vertex, keys.definition, record);
      this.#outcomes.set(vertex.id, { outcome: "ran", record });
      return record;
    });
  }

  /** No step of its own on the screen: the copy whose layer it places was shown. */
  async #runMerge(
    vertex: Vertex,
    inputs: readonly VertexResult[],
    keys: { readonly definition: CacheKey; readonly content: CacheKey },
  ): Promise<StepRecord> {
    const [base, layer] = inputs;
    if (base?.type !== "layers" || layer?.type !== "layers")
      throw coreError("INTERNAL", `merge ${vertex.name} without layers`);
    await base.materialize?.();
    return this.#fileSlots(async () => {
      this.signal.throwIfAborted();
      const started = monotonicMs();
      const environment = this.#environment;
      const { diffIds, chainId, created } = await executeMerge({ environment, base, layer });
      const durationMs = Math.round(monotonicMs() - started);
      const record = { diffIds, chainId, created, durationMs };
      await this.#remember(keys.content, record);
      await this.#rememberDefinition(vertex, keys.definition, record);
      this.#outcomes.set(vertex.id, { outcome: "ran", record });
      return record;
    });
  }

  #emptyOnce(cacheMount: string, empty: () => Promise<void>): Promise<void> {
    let emptying = this.#emptied.get(cacheMount);
    if (emptying === undefined) {
      emptying = empty();
      this.#emptied.set(cacheMount, emptying);
    }
    return emptying;
  }

  async #execute(
    vertex: Vertex,
    work: { readonly inputs: readonly VertexResult[]; readonly step: Step },
  ): Promise<LayersResult> {
    const { op } = vertex;
    const [base, ...others] = work.inputs;
    if (base?.type !== "layers") throw coreError("INTERNAL", `start ${vertex.name} without a root`);
    const request: OpRequest = {
      environment: this.#environment,
      base,
      others,
      step: work.step,
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

function withoutUndefined(step: {
  readonly [Key in keyof TracedStep]-?: Required<TracedStep>[Key] | undefined;
}): TracedStep {
  const known = Object.entries(step).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as unknown as TracedStep;
}

/** What a key was made of that no record keeps. The key of an image does not say its name. */
function ownFields(op: Op, { object }: CacheKey): readonly KeyField[] {
  const fields = Array.from(object.fields);
  return op.type === "image" ? [{ name: "reference", value: op.reference }, ...fields] : fields;
}

function renewedVertices({ vertices }: Plan): ReadonlySet<VertexId> {
  const renewed = new Set<VertexId>();
  for (const { id, inputs, ignoreCache } of vertices) {
    if (ignoreCache === true || inputs.some((input) => renewed.has(input))) renewed.add(id);
  }
  return renewed;
}

/** Epoch as its time, so that building on nothing gives the same image at any time. */
function emptyRoot(implicitTime: bigint): LayersResult {
  const created = new Date(Number(implicitTime / 1_000_000n)).toISOString();
  return { type: "layers", diffIds: [], chainId: undefined, created };
}

function toLayers({ diffIds, chainId, created }: StepRecord): LayersResult {
  return { type: "layers", diffIds, chainId, created };
}

/** `--link` is two vertices, the copy and the merge, and one step on the screen. */
function shownAs({ id, op, inputs }: Vertex): VertexId {
  return op.type === "merge" ? (inputs[1] ?? id) : id;
}

/** Whether it makes a layer and has a record in the cache. */
function isStep(op: Op): op is ExecOp | CopyOp | MergeOp | MkdirOp {
  return ["exec", "copy", "merge", "mkdir"].includes(op.type);
}

/** Trees from outside have no definition of their own: only their files say what they are, or the checksum of a file. */
function isForeignTree(op: Op): boolean {
  return op.type === "context" || (op.type === "http" && op.checksum === undefined);
}
