import type { BuildRecord, KeyField, TracedStep } from "../cache/index.ts";
import type { Digest } from "../core/index.ts";
import type { Op, Plan, Vertex, VertexId } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import { openExplainer, type Explainer, type KnownVertex } from "./explain/explainer.ts";
import { formatReason } from "./explain/format-reason.ts";
import { withoutSecrets } from "./explain/without-secrets.ts";
import type { CacheKey } from "./keys.ts";
import { isStep, vertexOf } from "./plan-vertices.ts";
import type { RemoteHits } from "./remote-hits.ts";
import type { StepRecord } from "./step-records.ts";
import type { VertexKeys } from "./vertex-keys.ts";

/** What became of a step. */
export interface StepOutcome {
  readonly outcome: "cached" | "ran";
  readonly record: StepRecord;
}

/** A step with its record and the keys under which it is known. */
export interface SolvedStep {
  readonly vertex: VertexId;
  /** Absent where its files changed while they were read: then it is that of another build. */
  readonly definition: Digest | undefined;
  /** Absent where nobody ever had to ask for it. */
  readonly content: Digest | undefined;
  readonly record: StepRecord;
}

/** What becomes of the vertices of one build, beside what became of them in the last one. */
export class BuildTrace {
  readonly #plan: Plan;
  readonly #environment: Pick<BuildEnvironment, "cache" | "lastBuild" | "secretWatch">;
  readonly #keys: VertexKeys;
  readonly #remote: Pick<RemoteHits, "missed"> | undefined;
  readonly #outcomes = new Map<VertexId, StepOutcome>();
  #last: Promise<BuildRecord | undefined> | undefined;
  #explainer: Promise<Explainer> | undefined;

  constructor(options: {
    readonly plan: Plan;
    readonly environment: Pick<BuildEnvironment, "cache" | "lastBuild" | "secretWatch">;
    readonly keys: VertexKeys;
    readonly remote?: Pick<RemoteHits, "missed"> | undefined;
  }) {
    this.#remote = options.remote;
    this.#plan = options.plan;
    this.#environment = options.environment;
    this.#keys = options.keys;
  }

  /** The first word counts: a step that ran is not cached because somebody else finds it so. */
  note(id: VertexId, outcome: StepOutcome): void {
    if (!this.#outcomes.has(id)) this.#outcomes.set(id, outcome);
  }

  /** Whether there was a last build. */
  async hasPrevious(): Promise<boolean> {
    return (await this.#lastBuild()) !== undefined;
  }

  /** Why a step runs, in words. */
  async why(vertex: Vertex): Promise<string> {
    return formatReason(await (await this.explainer()).explain(vertex));
  }

  /** Who compares this build with the last one. */
  explainer(): Promise<Explainer> {
    return (this.#explainer ??= this.#lastBuild().then((previous) => {
      const { cache, secretWatch } = this.#environment;
      const explainer = openExplainer({
        plan: this.#plan,
        cache,
        previous,
        known: (id) => this.#known(id),
        missed: this.#remote && ((key) => this.#remote?.missed(key)),
      });
      return secretWatch === undefined ? explainer : withoutSecrets(explainer, secretWatch);
    }));
  }

  /** Every vertex of the plan, in its order. */
  async steps(): Promise<TracedStep[]> {
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

  /** The steps of a finished trace that have a record. */
  solved(trace: readonly TracedStep[]): readonly SolvedStep[] {
    return trace.flatMap(({ key, content }, vertex) => {
      const record = this.#outcomes.get(vertex)?.record;
      if (record === undefined) return [];
      const definition = this.#keys.isOutdated(vertex) ? undefined : key;
      return { vertex, definition, content, record };
    });
  }

  /** What is known of a vertex without waiting for it to be solved. */
  async #known(id: VertexId): Promise<KnownVertex> {
    const { op } = vertexOf(this.#plan, id);
    const record = this.#outcomes.get(id)?.record;
    const result =
      op.type === "image" ? (op.chainId ?? "scratch") : record && (record.chainId ?? "scratch");
    return { ...(await this.#keys.known(id)), result };
  }

  /** A record that cannot be read is none: it serves explanations alone. */
  #lastBuild(): Promise<BuildRecord | undefined> {
    return (this.#last ??= this.#environment.lastBuild().catch(() => undefined));
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
