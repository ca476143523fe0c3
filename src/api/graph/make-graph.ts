import { formatPlatform, hideCredentials } from "../../core/index.ts";
import type { BuildRecord, TracedStep } from "../../cache/index.ts";
import { readStepName, type Op, type Plan, type Vertex, type VertexId } from "../../plan/index.ts";
import type { BuildGraph, GraphEdge, GraphNode, GraphStage } from "./types.ts";

/** The graph of a plan, with what the last build of the same target did. Pure. */
export function makeGraph(plan: Plan, last: BuildRecord | undefined): BuildGraph {
  return new GraphMaker(plan, last).make();
}

class GraphMaker {
  readonly #plan: Plan;
  readonly #last: BuildRecord | undefined;
  readonly #stages = new Map<string, GraphStage>();
  readonly #nodes: GraphNode[] = [];
  readonly #edges: GraphEdge[] = [];
  readonly #traced: TracedSteps;
  /** Vertices that are a part of another one on the picture. */
  readonly #standIns = new Map<VertexId, VertexId>();

  constructor(plan: Plan, last: BuildRecord | undefined) {
    this.#plan = plan;
    this.#last = last;
    this.#traced = new TracedSteps(last?.steps ?? []);
  }

  make(): BuildGraph {
    const { vertices, targets } = this.#plan;
    for (const { id, op, inputs } of vertices) {
      // `--link` is a copy and a merge, and one step.
      if (op.type === "merge" && inputs[1] !== undefined) this.#standIns.set(inputs[1], id);
    }
    // Taken in their order, also of what is not shown.
    const traced = vertices.map(({ name }) => this.#traced.take(name));
    for (const vertex of vertices) {
      if (vertex.op.type === "scratch" || this.#standIns.has(vertex.id)) continue;
      // Of a copy and a merge, the copy is the work.
      const worker = vertex.op.type === "merge" ? (vertex.inputs[1] ?? vertex.id) : vertex.id;
      this.#addVertex(vertex, traced[worker]);
    }
    for (const [index, { stageName, platform, vertex }] of targets.entries()) {
      const name = targets.length > 1 ? formatPlatform(platform) : "image";
      const id = vertices.length + index;
      const stage = this.#nodeOf(vertex)?.stage ?? this.#stageOf(stageName);
      this.#nodes.push({ id, kind: "result", title: name, stage });
      this.#addEdge(vertex, { to: id, kind: "base" });
    }
    return {
      stages: [...this.#stages.values()],
      nodes: this.#nodes,
      edges: this.#edges,
      lastBuild: this.#last?.finished,
    };
  }

  #addVertex(vertex: Vertex, traced: TracedStep | undefined): void {
    const { id, op, location } = vertex;
    const { stage, step, text } = readStepName(vertex.name);
    const source = sourceTitle(op);
    const isInStage = step !== undefined && source === undefined;
    this.#nodes.push({
      id,
      kind: kindOf(op),
      title: source ?? text.replace(/^\[internal\] /, ""),
      ...(isInStage ? { stage: this.#stageOf(stage === "" ? this.#only() : stage), step } : {}),
      ...(location === undefined ? {} : { line: location.line }),
      ...(traced?.outcome === undefined ? {} : { outcome: traced.outcome }),
      ...(traced?.durationMs === undefined ? {} : { durationMs: traced.durationMs }),
    });
    for (const [position, input] of vertex.inputs.entries()) {
      const copied = op.type === "merge" && position === 1 ? this.#vertex(input) : undefined;
      if (copied === undefined) this.#addInput(vertex, position);
      else this.#addCopied(copied, id);
    }
  }

  #addInput({ id, op, inputs }: Vertex, position: number): void {
    const input = inputs[position];
    if (input === undefined) return;
    if (position === 0) this.#addEdge(input, { to: id, kind: "base" });
    else this.#addEdge(input, { to: id, kind: "files", reads: readsOf(op, position) });
  }

  /** What the hidden half of a `COPY --link` reads. */
  #addCopied({ op, inputs }: Vertex, to: VertexId): void {
    for (const [position, input] of inputs.entries()) {
      if (position > 0) this.#addEdge(input, { to, kind: "files", reads: readsOf(op, position) });
    }
  }

  #addEdge(from: VertexId, edge: Omit<GraphEdge, "from">): void {
    if (this.#vertex(from)?.op.type === "scratch") return;
    this.#edges.push({ from: this.#standIns.get(from) ?? from, ...edge });
  }

  #stageOf(title: string): number {
    let stage = this.#stages.get(title);
    if (stage === undefined) {
      stage = { id: this.#stages.size, title };
      this.#stages.set(title, stage);
    }
    return stage.id;
  }

  /** A lone stage is not told in the names of its steps. */
  #only(): string {
    return this.#plan.targets[0]?.stageName ?? "";
  }

  #vertex(id: VertexId): Vertex | undefined {
    return this.#plan.vertices[id];
  }

  #nodeOf(id: VertexId): GraphNode | undefined {
    return this.#nodes.find((node) => node.id === id);
  }
}

/** Steps of the last build by name; those of one name in their order. */
class TracedSteps {
  readonly #byName = new Map<string, TracedStep[]>();

  constructor(steps: readonly TracedStep[]) {
    for (const step of steps) {
      const known = this.#byName.get(step.name);
      if (known === undefined) this.#byName.set(step.name, [step]);
      else known.push(step);
    }
  }

  take(name: string): TracedStep | undefined {
    return this.#byName.get(name)?.shift();
  }
}

function kindOf(op: Op): GraphNode["kind"] {
  switch (op.type) {
    case "image":
    case "scratch":
      return "image";
    case "context":
    case "http":
    case "git":
      return "source";
    case "exec":
      return "run";
    case "copy":
    case "merge":
      return "copy";
    case "mkdir":
      return "workdir";
  }
}

/** Of what comes from outside and is no base image. */
function sourceTitle(op: Op): string | undefined {
  switch (op.type) {
    case "context":
      return op.name === "context" ? "build context" : `context ${op.name}`;
    case "http":
      return hideCredentials(op.url);
    case "git":
      return hideCredentials(op.remote) + (op.ref === undefined ? "" : `#${op.ref}`);
    default:
      return undefined;
  }
}

/** What an op reads of the input at `position`. */
function readsOf(op: Op, position: number): readonly string[] {
  if (op.type === "copy") {
    return op.sources.flatMap((source) =>
      source.type === "path" && source.input === position ? [source.pattern] : [],
    );
  }
  if (op.type !== "exec") return [];
  return op.mounts.flatMap((mount) =>
    (mount.type === "bind" || mount.type === "cache") && mount.input === position
      ? [mount.source]
      : [],
  );
}
