import type {
  BuildRecord,
  Cache,
  CacheKeyObject,
  KeyField,
  TracedStep,
} from "../../cache/index.ts";
import type { Digest } from "../../core/index.ts";
import type { Op, Plan, Vertex, VertexId } from "../../plan/index.ts";
import type { CacheKey } from "../keys.ts";
import { ancestorsOf } from "../plan-vertices.ts";
import type { Miss } from "../remote-hits.ts";
import { compareKeys, type ChangedFiles, type KeyChanges } from "./compare-keys.ts";
import { matchSteps } from "./match-steps.ts";
import type { BaseName, FieldChange, Reason } from "./reason.ts";

/** What this build knows of a vertex by now. */
export interface KnownVertex {
  /** Absent for trees that have none. */
  readonly definition: CacheKey | undefined;
  readonly content: CacheKey | undefined;
  /** As in TracedStep. */
  readonly result: string | undefined;
}

export interface ExplainerOptions {
  readonly plan: Plan;
  readonly cache: Pick<Cache, "explain">;
  /** The last build of the same target, if there was one. */
  readonly previous: BuildRecord | undefined;
  /** What this build knows of a vertex, at the time of the question. */
  readonly known: (id: VertexId) => Promise<KnownVertex>;
  /** What became of the result that another machine left under a key, where it was of no use. Absent where none is asked. */
  readonly missed?: ((key: CacheKey) => Miss | undefined) | undefined;
}

/** Tells why steps run. */
export interface Explainer {
  /** Why a step that is not in the cache runs. */
  explain(vertex: Vertex): Promise<Reason>;
  /** All reasons that there are; the first one is that of `explain`. */
  explainAll(vertex: Vertex): Promise<readonly Reason[]>;
  /** The same step in the last build. */
  before(vertex: Vertex): TracedStep | undefined;
}

/**
 * Finds out why a step runs: in what its key differs from the key that the same step had in the last build of the target.
 * Where the difference is in what it stands on, the step below answers.
 */
export function openExplainer(options: ExplainerOptions): Explainer {
  return new RecordExplainer(options);
}

class RecordExplainer implements Explainer {
  readonly #options: ExplainerOptions;
  readonly #reasons = new Map<VertexId, Promise<Reason | undefined>>();
  #matches: readonly (number | undefined)[] | undefined;

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  async explain(vertex: Vertex): Promise<Reason> {
    return (
      (await this.#missed(vertex)) ??
      this.#asked(vertex) ??
      (await this.#difference(vertex)) ?? { type: "evicted" }
    );
  }

  async explainAll(vertex: Vertex): Promise<readonly Reason[]> {
    const first = await this.explain(vertex);
    if (first.type === "lost" || first.type === "refused") return [first];
    if (this.#asked(vertex) !== undefined) return [first];
    const all: Reason[] = [];
    try {
      for await (const reason of this.#differences(vertex)) all.push(reason);
    } catch {
      // What could be read before is true.
    }
    return all.length === 0 ? [first] : all;
  }

  before(vertex: Vertex): TracedStep | undefined {
    return this.#oldOf(vertex);
  }

  /** Its key is that of a result that another machine left: nothing differs. */
  async #missed({ id }: Vertex): Promise<{ readonly type: Miss } | undefined> {
    const { known, missed } = this.#options;
    if (missed === undefined) return undefined;
    const { definition, content } = await known(id);
    const type = (definition && missed(definition)) ?? (content && missed(content));
    return type && { type };
  }

  /** Reasons for which nothing has to be compared. */
  #asked({ ignoreCache }: Vertex): Reason | undefined {
    const { previous, missed } = this.#options;
    if (previous !== undefined) return ignoreCache === true ? { type: "no-cache" } : undefined;
    const isAsked = missed !== undefined && ignoreCache !== true;
    return { type: isAsked ? "first-here" : "first-time" };
  }

  /** In what a vertex differs from what it was; undefined when it is the same. Asked once. */
  #difference(vertex: Vertex): Promise<Reason | undefined> {
    let reason = this.#reasons.get(vertex.id);
    if (reason === undefined) {
      // Whatever keeps an old key from being read, a build does not fail of a reason that nobody can tell.
      reason = firstOf(this.#differences(vertex)).catch(() => ({ type: "forgotten" }) as const);
      this.#reasons.set(vertex.id, reason);
    }
    return reason;
  }

  /** The first cause comes first. */
  async *#differences(vertex: Vertex): AsyncGenerator<Reason, void, undefined> {
    // Steps ask the ones below: a chain may be thousands of steps long, and each call would stand on the last one.
    await Promise.resolve();
    const old = this.#oldOf(vertex);
    if (old === undefined) return yield { type: "new" };
    const { op } = vertex;
    if (op.type === "image") return yield* present(baseDifference(op, old));
    const { definition, content } = await this.#options.known(vertex.id);
    if (definition === undefined) return;
    const isDefinedAlike = old.key === definition.digest;
    const defined = { op, was: old.key, is: definition, fields: old.fields };
    const changes = isDefinedAlike ? noChanges : await this.#compare(defined);
    if (changes === undefined) return yield { type: "forgotten" };
    yield* this.#fieldReasons(vertex, { old, changes });
    for (const [source, changed] of changes.files) yield this.#filesReason(vertex, source, changed);
    // Files of other stages are named by the key by content alone.
    const isSame = content !== undefined && old.content === content.digest;
    const byContent = isSame
      ? undefined
      : await this.#compare({ op, was: old.content, is: content, fields: undefined });
    for (const [from, read] of byContent?.files ?? []) yield this.#filesReason(vertex, from, read);
    for (const name of (isDefinedAlike ? byContent : changes)?.inputs ?? []) {
      yield* present(await this.#inputReason(vertex, { name, old }));
    }
    // Before the build nobody knows what comes out of a step that is to run again.
    if (content === undefined && isDefinedAlike) yield* present(this.#renewal(vertex));
  }

  *#fieldReasons(
    vertex: Vertex,
    { old, changes }: { readonly old: TracedStep; readonly changes: KeyChanges },
  ): Generator<Reason, void, undefined> {
    let isBaseTold = false;
    for (const field of changes.fields) {
      const base = inherited.test(field.field) ? this.#baseReason(vertex, old) : undefined;
      if (base === undefined) yield withText(field, { old, vertex });
      else if (!isBaseTold) yield base;
      isBaseTold ||= base !== undefined;
    }
  }

  /** It stands on a step that is asked to run again, the nearest one. */
  #renewal(vertex: Vertex): Reason | undefined {
    const below = ancestorsOf(this.#options.plan, vertex, new Set());
    const renewed = below.findLast(({ ignoreCache }) => ignoreCache === true);
    return renewed && { type: "input", name: renewed.name, reason: { type: "no-cache" } };
  }

  /** Undefined when one of the keys is not known any more, or not yet. */
  async #compare(keys: {
    readonly op: Op;
    readonly was: Digest | undefined;
    readonly is: CacheKey | undefined;
    /** Of the old key, where no record keeps them. */
    readonly fields: readonly KeyField[] | undefined;
  }): Promise<KeyChanges | undefined> {
    const { op, was, is, fields } = keys;
    if (was === undefined || is === undefined) return undefined;
    const previous: CacheKeyObject | undefined =
      fields === undefined
        ? await this.#options.cache.explain(was)
        : { version: 1, kind: "definition", fields };
    return previous && compareKeys(previous, is.object, (source) => placeOf(op, source));
  }

  #filesReason(vertex: Vertex, source: number, changes: ChangedFiles): Reason {
    const input = inputOfSource(vertex.op, source);
    const read = this.#options.plan.vertices[vertex.inputs[input ?? -1] ?? -1];
    const isStep = read !== undefined && read.op.type !== "context";
    return { type: "files", ...changes, ...(isStep ? { from: read.name } : {}) };
  }

  /** What it stands on, or copies from, gives something else. */
  async #inputReason(
    vertex: Vertex,
    { name, old }: { readonly name: string; readonly old: TracedStep },
  ): Promise<Reason | undefined> {
    const index = positionOf(name);
    const input = this.#options.plan.vertices[vertex.inputs[index] ?? -1];
    if (input === undefined) return undefined;
    const before = this.#options.previous?.steps[old.inputs[index] ?? -1];
    const result = (await this.#options.known(input.id)).result;
    if (result !== undefined && result === before?.result) return undefined;
    const structure = this.#structureReason(input, before);
    if (structure !== undefined) return structure;
    const reason = await this.#difference(input);
    if (reason === undefined) {
      const type = input.ignoreCache === true ? "no-cache" : "evicted";
      const cause = (await this.#missed(input)) ?? { type };
      return { type: "input", name: input.name, reason: cause };
    }
    if (reason.type === "input" || reason.type === "base") return reason;
    return { type: "input", name: input.name, reason };
  }

  /** Another image at the bottom of the stage, which gives other defaults. */
  #baseReason(vertex: Vertex, old: TracedStep): Reason | undefined {
    const { plan, previous } = this.#options;
    let bottom: Vertex | undefined = vertex;
    while (bottom !== undefined && bottom.inputs.length > 0) {
      bottom = plan.vertices[bottom.inputs[0] ?? -1];
    }
    let before: TracedStep | undefined = old;
    while (before !== undefined && before.inputs.length > 0) {
      before = previous?.steps[before.inputs[0] ?? -1];
    }
    if (bottom === undefined || before === undefined) return undefined;
    if (bottom.op.type !== "image" && bottom.op.type !== "scratch") return undefined;
    return baseDifference(bottom.op, before);
  }

  /** It stands on something that is not what it stood on. */
  #structureReason(input: Vertex, before: TracedStep | undefined): Reason | undefined {
    const counterpart = this.#oldOf(input);
    if (before === undefined || counterpart === before) return undefined;
    if (input.op.type === "image" || input.op.type === "scratch") {
      return { type: "base", previous: baseOf(before), current: currentBase(input.op) };
    }
    // What is new says so itself.
    if (counterpart === undefined) return undefined;
    const isThere = this.#options.plan.vertices.some((vertex) => this.#oldOf(vertex) === before);
    if (!isThere) return { type: "removed", name: before.name };
    return { type: "moved", previous: before.name, current: input.name };
  }

  #oldOf({ id }: Vertex): TracedStep | undefined {
    const { plan, previous } = this.#options;
    const old = previous?.steps ?? [];
    this.#matches ??= matchSteps(
      old.map(({ name }) => name),
      plan.vertices.map(({ name }) => name),
    );
    return old[this.#matches[id] ?? -1];
  }
}

async function firstOf(reasons: AsyncIterable<Reason>): Promise<Reason | undefined> {
  for await (const reason of reasons) return reason;
  return undefined;
}

function* present(reason: Reason | undefined): Generator<Reason, void, undefined> {
  if (reason !== undefined) yield reason;
}

function positionOf(field: string): number {
  if (field === "layers") return 1;
  return field.startsWith("from.") ? Number(field.slice("from.".length)) : 0;
}

/** Keys name files by input, and those of one input by source. */
function placeOf(op: Op, source: number): number {
  return (inputOfSource(op, source) ?? 0) * 1_000_000 + source;
}

function inputOfSource(op: Op, source: number): number | undefined {
  if (op.type === "copy") {
    const found = op.sources[source];
    return found?.type === "path" ? found.input : undefined;
  }
  if (op.type !== "exec") return undefined;
  const mount = op.mounts[source];
  return mount?.type === "bind" || mount?.type === "cache" ? mount.input : undefined;
}

const noChanges: KeyChanges = { fields: [], files: new Map(), inputs: [] };

/** Fields that a base image gives where the Dockerfile does not. */
const inherited = /^(?:env\..*|cwd|user)$/s;

type BaseOp = Extract<Op, { readonly type: "image" | "scratch" }>;

function baseDifference(op: BaseOp, old: TracedStep): Reason | undefined {
  const [previous, current] = [baseOf(old), currentBase(op)];
  return previous.imageId === current.imageId ? undefined : { type: "base", previous, current };
}

function currentBase(op: BaseOp): BaseName {
  if (op.type === "scratch") return { reference: "scratch", imageId: undefined };
  return { reference: op.reference, imageId: op.imageId };
}

/** Of an image, of the empty root, or of a stage's last step. */
function baseOf({ name, outcome, fields = [] }: TracedStep): BaseName {
  const reference = textOf(fields, "reference") ?? (outcome === undefined ? "scratch" : name);
  return { reference, imageId: textOf(fields, "image") };
}

function textOf(fields: readonly KeyField[], name: string): string | undefined {
  const value = fields.find((field) => field.name === name)?.value;
  return typeof value === "string" ? value : undefined;
}

/** A changed instruction is best told by what it was. */
function withText(
  field: FieldChange,
  { old, vertex }: { readonly old: TracedStep; readonly vertex: Vertex },
): FieldChange {
  const [was, is] = [old.name, vertex.name].map((name) => name.replace(/^\[[^\]]*\] /, ""));
  return was === undefined || was === is ? field : { ...field, was };
}
