import type { Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildTrace } from "./build-trace.ts";
import type { BuildEnvironment } from "./environment.ts";
import { isUnpacked } from "./ops/image.ts";
import { ancestorsOf, isStep, shownAs } from "./plan-vertices.ts";
import type { StepRecord, StepRecords } from "./step-records.ts";

/** Tells of steps that are taken from the cache, each vertex once and after its inputs. */
export class CachedSteps {
  readonly #options: CachedStepsOptions;
  readonly #shown = new Set<VertexId>();
  readonly #told = new Map<VertexId, Promise<void>>();

  constructor(options: CachedStepsOptions) {
    this.#options = options;
  }

  /** True for the first who asks: each vertex is shown once. */
  claimDisplay(id: VertexId): boolean {
    if (this.#shown.has(id)) return false;
    this.#shown.add(id);
    return true;
  }

  /** A hit does not look at its inputs; those that are in the cache too are told as such, the others are not told. */
  async tell(vertex: Vertex, record: StepRecord): Promise<void> {
    for (const ancestor of ancestorsOf(this.#options.plan, vertex, this.#told)) {
      const telling = this.#tellAncestor(ancestor);
      // Awaited by whoever asked for it first; a second one must not see an unhandled rejection.
      telling.catch(() => undefined);
      this.#told.set(ancestor.id, telling);
    }
    await this.#inputsTold(vertex);
    this.#show(vertex, record);
  }

  async #tellAncestor(vertex: Vertex): Promise<void> {
    const { op } = vertex;
    const { environment, records } = this.#options;
    await this.#inputsTold(vertex);
    if (op.type === "image") {
      const isHere = await isUnpacked(op, environment);
      if (isHere && this.claimDisplay(vertex.id)) environment.steps.cached(vertex.name);
    } else if (isStep(op)) {
      const record = await records.findByDefinition(vertex.id);
      if (record !== undefined) this.#show(vertex, record);
    }
  }

  async #inputsTold({ inputs }: Vertex): Promise<void> {
    await Promise.all(inputs.map((id) => this.#told.get(id) ?? Promise.resolve()));
  }

  #show(vertex: Vertex, record: StepRecord): void {
    this.#options.trace.note(vertex.id, { outcome: "cached", record });
    if (this.claimDisplay(shownAs(vertex))) this.#options.environment.steps.cached(vertex.name);
  }
}

export interface CachedStepsOptions {
  readonly plan: Plan;
  readonly environment: Pick<BuildEnvironment, "snapshots" | "steps">;
  readonly records: StepRecords;
  readonly trace: BuildTrace;
}
