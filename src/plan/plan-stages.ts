import type { Platform } from "../core/index.ts";
import {
  expandWord,
  invalidBaseImagePlatform,
  type Dockerfile,
  type LintPlace,
} from "../dockerfile/index.ts";
import type { BaseImages } from "./base-images.ts";
import { contextRoot, contextTree, describeContext } from "./context-vertices.ts";
import type { GlobalArgs } from "./global-args.ts";
import { lintStep, type StepLint } from "./lint-step.ts";
import { locateFailure } from "./locate-failure.ts";
import { proxyEnvironment } from "./proxies.ts";
import { applyInstruction } from "./rules/index.ts";
import { addHistory, type RuleScope } from "./rules/rule.ts";
import type { ContextBase, ImageBase, StageGraph, StageNode, Step } from "./stage-graph.ts";
import {
  startFromImage,
  startFromScratch,
  startFromStage,
  type StageState,
} from "./stage-state.ts";
import { StepNames } from "./step-names.ts";
import type { BaseImage, PlanOptions, PlanWarning, VertexId } from "./types.ts";
import type { VertexTable } from "./vertex-table.ts";

export interface PlanStagesOptions {
  readonly dockerfile: Dockerfile;
  readonly options: PlanOptions;
  readonly platform: Platform;
  readonly globalArgs: GlobalArgs;
  readonly graph: StageGraph;
  readonly reachable: ReadonlySet<StageNode>;
  readonly bases: BaseImages;
  readonly vertices: VertexTable;
  readonly isAlone: boolean;
  readonly warn: (warning: PlanWarning) => void;
}

/** Folds the reachable stages in the order of the file and returns the target's state. */
export function planStages(options: PlanStagesOptions): StageState {
  const states = new Map<StageNode, StageState>();
  for (const stage of options.graph.stages) {
    if (options.reachable.has(stage)) states.set(stage, planStage(stage, states, options));
  }
  return stateOf(options.graph.target, states);
}

function planStage(
  stage: StageNode,
  states: ReadonlyMap<StageNode, StageState>,
  options: PlanStagesOptions,
): StageState {
  const isMulti = options.options.multiPlatform ?? options.options.platforms.length > 1;
  const names = new StepNames(stage, {
    isAlone: options.isAlone,
    platform: isMulti ? platformOf(stage, states, options) : undefined,
  });
  const state = startStage(stage, { options, states, names });
  names.watch(state.env);
  const lookup = (name: string): string | undefined => state.env.get(name);
  const { escape } = options.dockerfile.directives;
  // Field by field: a spread takes longer than everything else here, and a file may have thousands of stages.
  const scope: StageScope = {
    options: options.options,
    globalArgs: options.globalArgs,
    vertices: options.vertices,
    warn: options.warn,
    state,
    names,
    lookup,
    escape,
    ignoreCache: ignoresCache(stage, options.options),
    proxies: proxyEnvironment(options.options.buildArgs),
    rootOf: (source) => rootOf(source, states, options),
    contextVertex: () =>
      options.vertices.add({
        op: { type: "context", name: "context" },
        name: "[internal] load build context",
      }),
  };
  if (stage.index !== undefined) options.options.observer?.onStage(stage.index);
  applySteps(stage.steps, scope);
  return state;
}

/** The platform on which a stage's commands run: a stage on another one goes on where that was. */
function platformOf(
  { base, platform }: StageNode,
  states: ReadonlyMap<StageNode, StageState>,
  options: PlanStagesOptions,
): Platform {
  if (base.kind === "stage") return stateOf(base.stage, states).platform;
  return base.kind === "image" ? (platform ?? options.platform) : options.platform;
}

/** A stage without a name is only meant by "all". */
function ignoresCache({ name }: StageNode, { noCache = [] }: PlanOptions): boolean {
  return noCache === "all" || noCache.some((wanted) => wanted.toLowerCase() === name);
}

/** What all steps of a stage share. */
type StageScope = Omit<RuleScope, "step" | "expand" | keyof StepLint>;

/** One scope serves all steps, one after the other: a copy for each would cost more than most rules do. */
function applySteps(steps: readonly Step[], scope: StageScope): void {
  const shared: { -readonly [Key in keyof RuleScope]?: RuleScope[Key] } & StageScope = scope;
  for (const step of steps) {
    const { instruction } = step;
    const { lint, lookupUsed } = lintStep(instruction, scope);
    const expand = (word: string): string => expandWord(word, lookupUsed, scope.escape);
    const current = Object.assign(shared, { step, lint, lookupUsed, expand });
    locateFailure(instruction.location, () => applyInstruction(instruction, current));
  }
}

interface StartOptions {
  readonly options: PlanStagesOptions;
  readonly states: ReadonlyMap<StageNode, StageState>;
  readonly names: StepNames;
}

function startStage(stage: StageNode, { options, states, names }: StartOptions): StageState {
  const { base } = stage;
  const { vertices } = options;
  if (base.kind === "stage") return startFromStage(stateOf(base.stage, states));
  const platform = stage.platform ?? options.platform;
  if (base.kind === "scratch") return startFromScratch(scratchVertex(options), options.platform);
  if (base.kind === "context") return startFromContext(stage, base, { ...options, names });
  const image = loadedBase(stage, options);
  const from = options.dockerfile.stages[stage.index ?? -1]?.from;
  lintPlatform(from ?? stage, { image, base, platform, linter: options.options.linter });
  const name = names.next(describeBase(base));
  const root = imageVertex(image, { vertices, stage, platform, name });
  return startFromImage(image, root, platform);
}

function describeBase({ reference, contextName }: ImageBase): string {
  return contextName === undefined ? `FROM ${reference}` : `[context ${contextName}] ${reference}`;
}

/** Becomes a layer only where something is built on it: whoever copies from it reads its files as they are. */
function startFromContext(
  stage: StageNode,
  base: ContextBase,
  options: PlanStagesOptions & { readonly names: StepNames },
): StageState {
  const { vertices, graph, reachable, names } = options;
  const isBuiltOn =
    stage.steps.length > 0 ||
    stage === graph.target ||
    [...reachable].some((user) => user.base.kind === "stage" && user.base.stage === stage);
  if (!isBuiltOn) return startFromScratch(contextTree(base, vertices), options.platform);
  const name = names.next(`FROM ${base.name}`);
  const root = contextRoot({ ...stage, base }, { vertices, name });
  const state = startFromScratch(root, options.platform);
  addHistory(state, describeContext(base), root);
  return state;
}

/** Final filesystem of a stage, or the one of an image that only --from names. */
function rootOf(
  source: StageNode,
  states: ReadonlyMap<StageNode, StageState>,
  options: PlanStagesOptions,
): VertexId {
  if (source.index !== undefined) return stateOf(source, states).root;
  if (source.base.kind === "context") return contextTree(source.base, options.vertices);
  if (source.base.kind !== "image") return scratchVertex(options);
  const { platform, vertices } = options;
  const name = describeBase(source.base);
  return imageVertex(loadedBase(source, options), { vertices, stage: source, platform, name });
}

function imageVertex(
  image: BaseImage,
  options: Pick<PlanStagesOptions, "vertices"> & {
    readonly stage: StageNode;
    readonly platform: Platform;
    readonly name: string;
  },
): VertexId {
  const { stage, platform, name, vertices } = options;
  const { reference, imageId, chainId } = image;
  // An image without layers has no files: the same as an empty root.
  if (chainId === undefined) return scratchVertex(options);
  return vertices.add({
    op: { type: "image", reference, platform, imageId, chainId },
    name,
    location: stage.location,
  });
}

function scratchVertex({ vertices }: Pick<PlanStagesOptions, "vertices">): VertexId {
  return vertices.emptyRoot();
}

function lintPlatform(
  at: LintPlace,
  found: {
    readonly image: BaseImage;
    readonly base: ImageBase;
    readonly platform: Platform;
    readonly linter: PlanOptions["linter"];
  },
): void {
  const { image, base, platform, linter } = found;
  const { os, architecture } = image.config;
  if (os === platform.os && architecture === platform.architecture) return;
  if (image.chainId === undefined) return;
  const name = base.written ?? base.reference;
  const message = invalidBaseImagePlatform.message({
    name,
    actual: image.config,
    expected: platform,
  });
  linter?.report(invalidBaseImagePlatform, { at, message, word: name });
}

function stateOf(stage: StageNode, states: ReadonlyMap<StageNode, StageState>): StageState {
  const state = states.get(stage);
  if (state === undefined) throw new Error(`stage ${stage.title} has not been planned`);
  return state;
}

function loadedBase(stage: StageNode, { bases }: PlanStagesOptions): BaseImage {
  const image = bases.of(stage);
  if (image === undefined)
    throw new Error(`the base of stage ${stage.title} has not been looked up`);
  return image;
}
