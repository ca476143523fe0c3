import { availableParallelism } from "node:os";
import type { CacheRecord } from "../cache/index.ts";
import { coreError, locateError, unreachable, type Digest } from "../core/index.ts";
import type { Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import { makeKey, opFields, type CacheKey } from "./keys.ts";
import { openContext } from "./ops/context.ts";
import { executeCopy } from "./ops/copy.ts";
import { executeExec } from "./ops/exec.ts";
import { openHttp } from "./ops/http.ts";
import { resolveImage } from "./ops/image.ts";
import { executeMkdir } from "./ops/mkdir.ts";
import { readFieldsOf, treeOf } from "./read-set.ts";
import type { LayersResult, VertexResult } from "./result.ts";
import { Semaphore } from "./semaphore.ts";
import type { Step } from "./steps.ts";

export interface SolveOptions {
  /** RUN, COPY and ADD run again whatever the cache says. */
  readonly noCache: boolean;
}

/** What became of a step, for the record of the last build that explanations are made from. */
export interface SolvedStep {
  readonly name: string;
  readonly key: Digest;
  readonly outcome: "cached" | "ran";
  readonly durationMs: number;
}

export interface Solution {
  /** Result of each of the plan's targets, in their order. */
  readonly targets: readonly LayersResult[];
  readonly steps: readonly SolvedStep[];
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
export async function solve(
  plan: Plan,
  environment: BuildEnvironment,
  options: SolveOptions,
): Promise<Solution> {
  const solver = new Solver(plan, environment, options);
  const outcomes = await Promise.allSettled(
    plan.targets.map((target) => solver.layers(target.vertex)),
  );
  await solver.settled();
  const rejected = outcomes.find((outcome) => outcome.status === "rejected");
  if (rejected !== undefined) throw solver.failure ?? rejected.reason;
  const targets = outcomes.flatMap((outcome) =>
    outcome.status === "fulfilled" ? [outcome.value] : [],
  );
  return { targets, steps: solver.steps, written: solver.written };
}

class Solver {
  failure: unknown;
  readonly steps: SolvedStep[] = [];
  readonly written: Digest[] = [];
  readonly #plan: Plan;
  readonly #environment: BuildEnvironment;
  readonly #noCache: boolean;
  readonly #abort = new AbortController();
  readonly #results = new Map<VertexId, Promise<VertexResult>>();
  readonly #definitions = new Map<VertexId, Promise<CacheKey>>();
  readonly #running = new Map<Digest, Promise<LayersResult>>();
  readonly #shown = new Set<VertexId>();
  // RUN steps mostly wait (network, disk, sleep), so more of them than cores run at once; file work is bound by cores.
  readonly #execSlots = new Semaphore(Math.max(8, 2 * availableParallelism()));
  readonly #fileSlots = new Semaphore(Math.max(2, availableParallelism()));

  constructor(plan: Plan, environment: BuildEnvironment, options: SolveOptions) {
    this.#plan = plan;
    this.#noCache = options.noCache;
    const signal = AbortSignal.any([environment.signal, this.#abort.signal]);
    this.#environment = { ...environment, signal };
  }

  /** Waits until no vertex is being worked on, whatever their outcomes. */
  async settled(): Promise<void> {
    for (let known = -1; known !== this.#results.size;) {
      known = this.#results.size;
      await Promise.allSettled([...this.#results.values(), ...this.#running.values()]);
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

  #fail(id: VertexId, error: unknown): never {
    const { location } = this.#vertex(id);
    const located = location === undefined ? error : locateError(error, location);
    if (this.failure === undefined && !this.#environment.signal.aborted) this.failure = located;
    this.#abort.abort(located);
    throw located;
  }

  #vertex(id: VertexId): Vertex {
    const vertex = this.#plan.vertices[id];
    if (vertex === undefined) throw coreError("INTERNAL", `look up vertex ${String(id)}`);
    return vertex;
  }

  async #solveVertex(vertex: Vertex): Promise<VertexResult> {
    throwIfAborted(this.#environment.signal);
    const { op } = vertex;
    switch (op.type) {
      case "scratch":
        return { type: "layers", diffIds: [], chainId: undefined, created: now(this.#environment) };
      case "context":
        return openContext(op, this.#environment);
      case "http":
        return openHttp(op, { environment: this.#environment, name: vertex.name });
      case "image":
        return resolveImage(op, { environment: this.#environment, name: vertex.name });
      case "exec":
      case "copy":
      case "mkdir":
        return this.#solveStep(vertex);
      default:
        return unreachable(op);
    }
  }

  async #solveStep(vertex: Vertex): Promise<LayersResult> {
    const fresh = this.#noCache && vertex.op.type !== "mkdir";
    const definition = await this.#definition(vertex.id);
    if (!this.#noCache) {
      const hit = await this.#lookup(definition);
      if (hit !== undefined) return this.#useCached(vertex, definition, hit);
    }
    const inputs = await Promise.all(vertex.inputs.map((id) => this.#result(id)));
    const content = await this.#contentKey(vertex, inputs);
    if (!fresh) {
      const hit = await this.#lookup(content);
      if (hit !== undefined) {
        await this.#environment.cache.store(definition.digest, definition.object, hit);
        this.written.push(definition.digest);
        return this.#useCached(vertex, definition, hit);
      }
    }
    let work = this.#running.get(content.digest);
    if (work === undefined) {
      work = this.#runStep(vertex, inputs, { definition, content });
      this.#running.set(content.digest, work);
    }
    return work;
  }

  /** A record counts only while its files are here; otherwise the step runs again. */
  async #lookup(key: CacheKey): Promise<CacheRecord | undefined> {
    const record = await this.#environment.cache.lookup(key.digest);
    if (record?.chainId === undefined) return undefined;
    const snapshot = await this.#environment.snapshots.stat(record.chainId);
    return snapshot === undefined ? undefined : record;
  }

  async #useCached(vertex: Vertex, key: CacheKey, record: CacheRecord): Promise<LayersResult> {
    await this.#showCachedInputs(vertex);
    this.#showCached(vertex, { key: key.digest, durationMs: record.durationMs });
    return {
      type: "layers",
      diffIds: record.diffIds,
      chainId: record.chainId,
      created: record.created,
    };
  }

  /** A hit does not look at its inputs; those that are in the cache too are told as such, the others are not told. */
  async #showCachedInputs(vertex: Vertex): Promise<void> {
    for (const id of vertex.inputs) {
      const input = this.#vertex(id);
      if (this.#shown.has(id) || this.#results.has(id)) continue;
      await this.#showCachedInputs(input);
      if (input.op.type === "image") {
        this.#shown.add(id);
        this.#environment.steps.cached(input.name);
      } else if (["exec", "copy", "mkdir"].includes(input.op.type)) {
        const key = await this.#definition(id);
        const hit = await this.#lookup(key);
        if (hit !== undefined) {
          this.#showCached(input, { key: key.digest, durationMs: hit.durationMs });
        }
      }
    }
  }

  #showCached(vertex: Vertex, step: Pick<SolvedStep, "key" | "durationMs">): void {
    if (this.#shown.has(vertex.id)) return;
    this.#shown.add(vertex.id);
    this.#environment.steps.cached(vertex.name);
    this.steps.push({ name: vertex.name, outcome: "cached", ...step });
  }

  #definition(id: VertexId): Promise<CacheKey> {
    let key = this.#definitions.get(id);
    if (key === undefined) {
      key = this.#computeDefinition(this.#vertex(id));
      // Awaited by whoever asks; a second asker must not see an unhandled rejection of the first.
      key.catch(() => undefined);
      this.#definitions.set(id, key);
    }
    return key;
  }

  /** Op and keys of inputs. A tree that has no definition of its own (a context, a URL) enters by its files. */
  async #computeDefinition(vertex: Vertex): Promise<CacheKey> {
    const { op } = vertex;
    const fields = opFields(op, this.#environment.implicitTime);
    for (const [index, id] of vertex.inputs.entries()) {
      const input = this.#vertex(id);
      if (input.op.type === "context" || input.op.type === "http") {
        const tree = await treeOf(await this.#result(id), this.#environment);
        fields.push(...(await readFieldsOf({ op, index, tree, environment: this.#environment })));
      } else {
        const { digest } = await this.#definition(id);
        fields.push({ name: index === 0 ? "parent" : `from.${String(index)}`, value: digest });
      }
    }
    return makeKey("definition", fields);
  }

  /** Op, the exact root that it works on, and the checksums of exactly the files that it reads. */
  async #contentKey(vertex: Vertex, inputs: readonly VertexResult[]): Promise<CacheKey> {
    const { op } = vertex;
    const fields = opFields(op, this.#environment.implicitTime);
    for (const [index, input] of inputs.entries()) {
      if (index === 0 && input.type === "layers") {
        fields.push({ name: "base", value: input.chainId ?? "scratch" });
      } else {
        const tree = await treeOf(input, this.#environment);
        fields.push(...(await readFieldsOf({ op, index, tree, environment: this.#environment })));
      }
    }
    return makeKey("content", fields);
  }

  async #runStep(
    vertex: Vertex,
    inputs: readonly VertexResult[],
    keys: { readonly definition: CacheKey; readonly content: CacheKey },
  ): Promise<LayersResult> {
    const slots = vertex.op.type === "exec" ? this.#execSlots : this.#fileSlots;
    return slots.run(async () => {
      throwIfAborted(this.#environment.signal);
      this.#shown.add(vertex.id);
      const started = performance.now();
      const result = await this.#environment.steps.run(vertex.name, async (step) =>
        this.#execute(vertex, { inputs, step }),
      );
      const durationMs = Math.round(performance.now() - started);
      const { diffIds, chainId, created } = result;
      for (const key of [keys.content, keys.definition]) {
        await this.#environment.cache.store(key.digest, key.object, {
          diffIds,
          chainId,
          created,
          durationMs,
        });
        this.written.push(key.digest);
      }
      const key = keys.definition.digest;
      this.steps.push({ name: vertex.name, key, outcome: "ran", durationMs });
      return result;
    });
  }

  async #execute(
    vertex: Vertex,
    work: { readonly inputs: readonly VertexResult[]; readonly step: Step },
  ): Promise<LayersResult> {
    const { op } = vertex;
    const [base, ...others] = work.inputs;
    if (base?.type !== "layers") throw coreError("INTERNAL", `start ${vertex.name} without a root`);
    await base.materialize?.();
    const request = { environment: this.#environment, base, others, step: work.step };
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

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw coreError("CANCELED", "build");
}

function now(environment: BuildEnvironment): string {
  return environment.clock.now().toISOString();
}
