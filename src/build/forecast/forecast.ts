import type { Cache } from "../../cache/index.ts";
import type { ImageOp, Plan, Vertex, VertexId } from "../../plan/index.ts";
import type { BuildEnvironment } from "../environment.ts";
import type { Explainer } from "../explain/explainer.ts";
import { formatReason } from "../explain/format-reason.ts";
import type { Reason } from "../explain/reason.ts";
import { isUnpacked } from "../ops/image.ts";
import { isStep, shownAs, vertexOf } from "../plan-vertices.ts";
import { estimate } from "./estimate.ts";
import type { Fate } from "./fate.ts";
import { Forecaster } from "./forecaster.ts";
import type { Forecast, ForecastOutcome, ForecastStep } from "./types.ts";

/**
 * Says what `solve` would do with a plan, and why, without doing any of it: nothing runs, nothing is written, no layer is
 * fetched. `environment` is that of a build.
 * @throws what would keep a build from beginning, located at its instruction
 */
export async function forecast(plan: Plan, given: BuildEnvironment): Promise<Forecast> {
  const environment = { ...given, cache: onlyLooking(given.cache) };
  const forecaster = new Forecaster(plan, environment);
  await forecaster.walk();
  const telling = {
    plan,
    environment,
    forecaster,
    durations: await findDurations(plan, forecaster),
  };
  const steps: ForecastStep[] = [];
  // A COPY --link is one step: the copy, and each place at which its layer is put.
  const placed = new Set(plan.vertices.map((vertex) => (isMerge(vertex) ? shownAs(vertex) : -1)));
  for (const vertex of plan.vertices) {
    if (vertex.op.type === "image") steps.push(await tellImage(vertex, vertex.op, telling));
    else if (isStep(vertex.op) && !placed.has(vertex.id)) {
      steps.push(await tellStep(vertex, telling));
    }
  }
  const { durations } = telling;
  return {
    steps,
    estimate: estimate(plan, {
      fateOf: (id) => forecaster.fateOf(id),
      durationOf: (id) => durations.get(id),
    }),
  };
}

/** What the build would find, and nothing of a build's traces. */
function onlyLooking(cache: Cache): Cache {
  const refuse = (): Promise<never> => Promise.reject(new Error("a forecast writes nothing"));
  return {
    lookup: (key) => cache.peek(key),
    peek: (key) => cache.peek(key),
    explain: (key) => cache.explain(key),
    isEmpty: () => cache.isEmpty(),
    list: () => cache.list(),
    store: refuse,
    remove: refuse,
  };
}

interface Telling {
  readonly plan: Plan;
  readonly environment: BuildEnvironment;
  readonly forecaster: Forecaster;
  readonly durations: ReadonlyMap<VertexId, number>;
}

/** Of the steps that may run: what they took in the last build, or when there last was such a result. */
async function findDurations(
  { vertices }: Plan,
  forecaster: Forecaster,
): Promise<ReadonlyMap<VertexId, number>> {
  const durations = new Map<VertexId, number>();
  const waiting = vertices.filter(({ id }) => isWaiting(forecaster.fateOf(id)));
  if (waiting.length === 0) return durations;
  const explainer = await forecaster.trace.explainer();
  for (const vertex of waiting) {
    const known = explainer.before(vertex)?.durationMs ?? (await forecaster.recordedMs(vertex.id));
    if (known !== undefined) durations.set(vertex.id, known);
  }
  return durations;
}

async function tellImage(
  vertex: Vertex,
  op: ImageOp,
  { plan, environment, forecaster }: Telling,
): Promise<ForecastStep> {
  const isWanted = plan.vertices.some(
    ({ id, inputs }) => inputs.includes(vertex.id) && isWaiting(forecaster.fateOf(id)),
  );
  const isHere = await isUnpacked(op, environment);
  const outcome = isHere ? "cached" : isWanted ? "pull" : "skipped";
  return { name: vertex.name, type: "image", outcome, dependsOn: [], reasons: [] };
}

async function tellStep(shown: Vertex, telling: Telling): Promise<ForecastStep> {
  const { plan, forecaster, durations } = telling;
  const { name } = shown;
  const vertex = decisiveOf(shown, telling);
  const fate = forecaster.fateOf(vertex.id);
  const outcome = outcomes[fate.type];
  const dependsOn = fate.type === "depends" ? fate.on.map((id) => vertexOf(plan, id).name) : [];
  if (!isWaiting(fate)) return { name, type: "step", outcome, dependsOn, reasons: [] };
  const reasons = await findReasons(vertex, forecaster);
  const [first] = reasons;
  const durationMs = durations.get(vertex.id);
  return {
    name,
    type: "step",
    outcome,
    dependsOn,
    reasons,
    ...(first === undefined ? {} : { why: formatReason(first) }),
    ...(durationMs === undefined ? {} : { durationMs }),
  };
}

/** Of a copy and its place: the copy, when its place waits for it, or nobody asks for the place. */
function decisiveOf(shown: Vertex, { plan, forecaster }: Telling): Vertex {
  const fate = forecaster.fateOf(shown.id);
  if (!isMerge(shown) || fate.type === "cached") return shown;
  const copy = vertexOf(plan, shownAs(shown));
  return fate.type === "skipped" || isWaiting(forecaster.fateOf(copy.id)) ? copy : shown;
}

function isMerge({ op }: Vertex): boolean {
  return op.type === "merge";
}

async function findReasons(vertex: Vertex, forecaster: Forecaster): Promise<readonly Reason[]> {
  const unseen = forecaster.unseenBelow(vertex.id);
  if (unseen !== undefined) return [{ type: "unseen", name: unseen.name }];
  const explainer: Explainer = await forecaster.trace.explainer();
  return explainer.explainAll(vertex);
}

function isWaiting({ type }: Fate): boolean {
  return type === "runs" || type === "depends";
}

const outcomes: Readonly<Record<Fate["type"], ForecastOutcome>> = {
  cached: "cached",
  runs: "run",
  depends: "depends",
  skipped: "skipped",
};
