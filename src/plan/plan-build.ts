import type { Platform } from "../core/index.ts";
import { parseInstruction, pinpointWord, type Dockerfile } from "../dockerfile/index.ts";
import { BaseImages } from "./base-images.ts";
import { refuseForeignSyntax } from "./frontend.ts";
import { evaluateGlobalArgs, type GlobalArgs } from "./global-args.ts";
import { lintDefaultArgs } from "./lint-from.ts";
import { locateFailure } from "./locate-failure.ts";
import { planStages } from "./plan-stages.ts";
import { buildStageGraph, type StageGraph, type StageNode } from "./stage-graph.ts";
import { resolveEpoch } from "./source-date-epoch.ts";
import { reachableFrom, refuseCycles, refuseForwardReferences } from "./stage-order.ts";
import { finishConfig, listHistory, type StageState } from "./stage-state.ts";
import type { Plan, PlanOptions, PlanTarget, PlanWarning } from "./types.ts";
import { VertexTable } from "./vertex-table.ts";

/**
 * Says what a build will do. Pure but for `resolveBase`; only stages that the target reaches are planned and only
 * their bases are looked up, those of independent stages at the same time.
 * @throws PLAN_*, DOCKERFILE_* (from expansion), and whatever `resolveBase` throws; all but PLAN_TARGET_UNKNOWN with
 *   a location
 */
export async function planBuild(dockerfile: Dockerfile, options: PlanOptions): Promise<Plan> {
  try {
    return await planTargets(dockerfile, options);
  } catch (error) {
    throw pinpointWord(error, dockerfile);
  }
}

async function planTargets(dockerfile: Dockerfile, options: PlanOptions): Promise<Plan> {
  refuseForeignSyntax(dockerfile, options);
  const vertices = new VertexTable();
  const stageNames = dockerfile.stages.flatMap(({ name }) => (name === undefined ? [] : [name]));
  const bases = new BaseImages(options.resolveBase, stageNames);
  const warnings = new Map<string, PlanWarning>();
  const scopes = options.platforms.map((platform) => ({
    dockerfile,
    options,
    platform,
    vertices,
    bases,
    warnings,
  }));
  const resolved = await Promise.all(scopes.map(resolveTarget));
  // Folded one after the other: vertices are numbered in the same way every time.
  const targets = resolved.map(foldTarget);
  // The same for every platform: nothing sensible could make it differ.
  const sourceDateEpoch = resolved[0]?.epoch;
  return {
    vertices: vertices.list(),
    targets,
    ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
    warnings: [...warnings.values()],
  };
}

interface TargetScope {
  readonly dockerfile: Dockerfile;
  readonly options: PlanOptions;
  readonly platform: Platform;
  readonly vertices: VertexTable;
  readonly bases: BaseImages;
  readonly warnings: Map<string, PlanWarning>;
}

interface ResolvedTarget extends TargetScope {
  readonly epoch: number | undefined;
  readonly globalArgs: GlobalArgs;
  readonly graph: StageGraph;
  readonly reachable: ReadonlySet<StageNode>;
  readonly isAlone: boolean;
}

async function resolveTarget(scope: TargetScope): Promise<ResolvedTarget> {
  const { dockerfile, platform } = scope;
  lintDefaultArgs(dockerfile, scope);
  const given = evaluateGlobalArgs(dockerfile, scope.options, platform);
  const epoch = await resolveEpoch({ dockerfile, options: scope.options, globalArgs: given });
  const { globalArgs } = epoch;
  const options = { ...scope.options, buildArgs: epoch.buildArgs };
  const graph = buildStageGraph({
    dockerfile,
    globalArgs,
    target: options.target,
    contexts: options,
    linter: options.linter,
  });
  // Asked before triggers add sources: they do not change how a lone stage is shown.
  const isAlone = graph.stages.length === 1 && !graph.hasForeignSources;
  const reachable = await resolveStages(graph, scope);
  return { ...scope, options, epoch: epoch.seconds, globalArgs, graph, reachable, isAlone };
}

function foldTarget(resolved: ResolvedTarget): PlanTarget {
  const { warnings, graph } = resolved;
  const state = planStages({
    ...resolved,
    // Several platforms repeat the same warning.
    warn: (warning) => warnings.set(JSON.stringify(warning), warning),
  });
  return toTarget(state, graph.target, resolved);
}

/** Triggers may name further stages and images, so lookups repeat until nothing new is reached. */
async function resolveStages(
  graph: StageGraph,
  { bases, platform, options }: TargetScope,
): Promise<ReadonlySet<StageNode>> {
  const triggered = new Set<StageNode>();
  while (true) {
    const reachable = reachableFrom(options.allStages === true ? graph.stages : [graph.target]);
    for (const stage of reachable) refuseForwardReferences(stage);
    await bases.load(reachable, platform);
    const fresh = [...reachable].filter((stage) => !triggered.has(stage));
    if (fresh.length === 0) return reachable;
    // A parent's triggers come before its children's, which read them.
    for (const stage of fresh.sort((a, b) => (a.index ?? -1) - (b.index ?? -1))) {
      triggered.add(stage);
      const triggers = triggersFor(stage, bases);
      if (triggers.length === 0) continue;
      stage.steps = [...triggers.map((text) => toTrigger(text, stage, graph)), ...stage.steps];
    }
    refuseCycles(graph.stages);
  }
}

function toTrigger(
  text: string,
  { location }: StageNode,
  graph: StageGraph,
): StageNode["steps"][number] {
  return locateFailure(location, () => graph.toStep(parseInstruction(text, { location }), true));
}

/** An image that only --from names has no instructions, so its triggers never fire. */
function triggersFor(stage: StageNode, bases: BaseImages): readonly string[] {
  if (stage.index === undefined || stage.isReplaced) return [];
  if (stage.base.kind !== "stage") return bases.of(stage)?.config.config.onBuild ?? [];
  return stage.base.stage.steps.flatMap(({ instruction }) =>
    instruction.keyword === "ONBUILD" ? [instruction.trigger] : [],
  );
}

function toTarget(
  state: StageState,
  stage: StageNode,
  { options, platform }: TargetScope,
): PlanTarget {
  for (const [name, value] of Object.entries(options.labels ?? {})) {
    state.image.labels.set(name, value);
  }
  const config = finishConfig(state.image);
  return {
    platform,
    vertex: state.root,
    stageName: stage.title,
    config: options.platformsRequested === true ? withPlatform(config, platform) : config,
    baseHistory: state.baseHistory,
    history: listHistory(state.history),
  };
}

/** What was asked for replaces what the base says; details of another os or architecture are dropped. */
function withPlatform(config: PlanTarget["config"], platform: Platform): PlanTarget["config"] {
  const { os, architecture } = platform;
  const isSame = config.os === os && config.architecture === architecture;
  const { variant, osVersion, osFeatures, ...rest } = config;
  return {
    ...rest,
    os,
    architecture,
    ...definedOnly({
      variant: platform.variant ?? (isSame ? variant : undefined),
      osVersion: platform.osVersion ?? (isSame ? osVersion : undefined),
      osFeatures: platform.osFeatures ?? osFeatures,
    }),
  };
}

function definedOnly<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>;
  };
}
