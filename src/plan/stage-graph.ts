import {
  coreError,
  formatReference,
  isTsbuildError,
  parsePlatform,
  parseReference,
  unreachable,
  withDefaultTag,
  type Platform,
  type SourceLocation,
} from "../core/index.ts";
import {
  expandWord,
  type Dockerfile,
  type Linter,
  type StageInstruction,
  type StageSyntax,
  withSuggestion,
} from "../dockerfile/index.ts";
import { planError } from "./errors.ts";
import type { GlobalArgs } from "./global-args.ts";
import { lintFrom } from "./lint-from.ts";
import { locateFailure } from "./locate-failure.ts";
import { mountSourceNames } from "./mounts.ts";
import { findNamedContext } from "./named-contexts.ts";
import { refuseCycles } from "./stage-order.ts";
import type { ContextOp, GitOp, HttpOp, NamedContext, OciLayout, PlanOptions } from "./types.ts";

/** What a stage starts from. */
export type StageBase =
  | { readonly kind: "scratch" }
  | { readonly kind: "stage"; readonly stage: StageNode }
  | ImageBase
  | ContextBase;

/** An image: by its normalised reference, or the one in an OCI layout under its context's name. */
export interface ImageBase {
  readonly kind: "image";
  readonly reference: string;
  /** As FROM has it after expansion. */
  readonly written?: string;
  readonly layout?: OciLayout;
  /** Set when `--build-context` named it. */
  readonly contextName?: string;
}

/** Files that `--build-context` put there. */
export interface ContextBase {
  readonly kind: "context";
  readonly name: string;
  readonly op: ContextOp | GitOp | HttpOp;
}

/** One FROM block, or an image that only `--from` names. */
export interface StageNode {
  /** Position among the FROM lines; undefined for an image named by `--from` alone. */
  readonly index: number | undefined;
  /** As messages call it: the name, or `stage-N`. */
  readonly title: string;
  readonly name: string | undefined;
  readonly location: SourceLocation;
  readonly base: StageBase;
  /** Asked for with --platform. */
  readonly platform: Platform | undefined;
  /** Whether `--build-context` stands in for it: its own instructions, and its base's triggers, are not run. */
  readonly isReplaced: boolean;
  /** ONBUILD triggers first, once they are known. */
  steps: readonly Step[];
}

/** An instruction with the stages that it reads from: one for COPY --from, one a mount for RUN. */
export interface Step {
  readonly instruction: StageInstruction;
  readonly isTrigger: boolean;
  readonly sources: readonly (StageNode | undefined)[];
}

export interface StageGraph {
  readonly stages: readonly StageNode[];
  readonly target: StageNode;
  /** Whether something beside the stages is read from, which makes a lone stage show its number. */
  readonly hasForeignSources: boolean;
  /** Gives triggers the sources that they name in this Dockerfile. */
  toStep(instruction: StageInstruction, isTrigger: boolean): Step;
}

export interface StageGraphOptions {
  readonly dockerfile: Dockerfile;
  readonly globalArgs: GlobalArgs;
  readonly target: string | undefined;
  readonly contexts: NamedContexts;
  readonly linter?: Linter | undefined;
}

type NamedContexts = Pick<PlanOptions, "namedContexts">;

/**
 * Looks up every FROM and --from. All stages are checked, whether the target reaches them or not.
 * @throws PLAN_BASE_INVALID, PLAN_TARGET_UNKNOWN, PLAN_FROM_INVALID, PLAN_STAGE_CYCLE, REFERENCE_INVALID,
 *   PLATFORM_INVALID
 */
export function buildStageGraph(options: StageGraphOptions): StageGraph {
  const stages: StageNode[] = [];
  const byName = new Map<string, StageNode>();
  for (const [index, syntax] of options.dockerfile.stages.entries()) {
    const stage = toStageNode({ index, syntax, byName }, options);
    stages.push(stage);
    if (stage.name !== undefined) byName.set(stage.name, stage);
  }
  let hasForeignSources = false;
  const toStep = (instruction: StageInstruction, isTrigger: boolean): Step => {
    const sources = sourceNames(instruction).map((name) =>
      name === undefined
        ? undefined
        : findSource(name, { stages, byName, instruction, contexts: options.contexts }),
    );
    if (!isTrigger) hasForeignSources ||= countForeign(instruction, sources);
    return { instruction, isTrigger, sources };
  };
  for (const [index, syntax] of options.dockerfile.stages.entries()) {
    const stage = stages[index];
    if (stage !== undefined && !stage.isReplaced)
      stage.steps = syntax.instructions.map((step) => toStep(step, false));
  }
  refuseCycles(stages);
  return { stages, target: findTarget(options.target, stages, byName), hasForeignSources, toStep };
}

function toStageNode(
  place: {
    readonly index: number;
    readonly syntax: StageSyntax;
    readonly byName: ReadonlyMap<string, StageNode>;
  },
  options: StageGraphOptions,
): StageNode {
  const { dockerfile, globalArgs } = options;
  const { from, name } = place.syntax;
  lintFrom(from, options);
  const expand = (word: string): string =>
    locateFailure(from.location, () =>
      expandWord(word, (variable) => globalArgs.get(variable), dockerfile.directives.escape),
    );
  const image = expand(from.image);
  if (image === "") {
    throw planError("PLAN_BASE_INVALID", `base name (${from.image}) should not be blank`, {
      hint: "declare the variable with ARG and a default before the first FROM, or give --build-arg",
      location: from.location,
      details: { word: from.image },
    });
  }
  return {
    index: place.index,
    title: name ?? `stage-${String(place.index)}`,
    name,
    location: from.location,
    ...toStageBase(image, {
      ...place,
      name,
      word: from.image,
      location: from.location,
      contexts: options.contexts,
    }),
    platform:
      from.platform === undefined ? undefined : toPlatform(from.platform, expand, from.location),
    steps: [],
  };
}

function toPlatform(
  written: string,
  expand: (word: string) => string,
  location: SourceLocation,
): Platform {
  const text = expand(written);
  if (text === "") {
    throw planError("PLAN_BASE_INVALID", `empty platform value from expression ${written}`, {
      hint: "use $BUILDPLATFORM, $TARGETPLATFORM, or a declared global ARG",
      location,
      details: { word: written },
    });
  }
  try {
    return parsePlatform(text);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const { message, hint, details } = error;
    throw coreError("PLATFORM_INVALID", `failed to parse platform ${written}: ${message}`, {
      hint,
      location,
      details: { ...details, word: written },
    });
  }
}

interface BasePlace {
  /** The image as it is written, where that differs. */
  readonly word?: string;
  readonly byName: ReadonlyMap<string, StageNode>;
  readonly location: SourceLocation;
  readonly contexts: NamedContexts;
}

/** A context of the stage's own name takes the place of the whole stage. */
function toStageBase(
  image: string,
  place: BasePlace & { readonly name: string | undefined },
): Pick<StageNode, "base" | "isReplaced"> {
  const base = toBase(image, place);
  const found = place.name === undefined ? undefined : findNamedContext(place.name, place.contexts);
  return found === undefined
    ? { base, isReplaced: false }
    : { base: contextBase(found.name, found.context), isReplaced: true };
}

/** Exactly an earlier stage's name means that stage; everything else is a named context or an image. */
function toBase(image: string, place: BasePlace): StageBase {
  const { byName, location, contexts } = place;
  const stage = byName.get(image);
  if (stage !== undefined) return { kind: "stage", stage };
  if (image === "scratch") return { kind: "scratch" };
  const found = findNamedContext(image, contexts);
  if (found !== undefined) return contextBase(found.name, found.context);
  try {
    const reference = formatReference(withDefaultTag(parseReference(image)));
    return { kind: "image", reference, written: image };
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const lower = image.toLowerCase();
    const hint = byName.has(lower) ? `stage names are lower case here: write ${lower}` : error.hint;
    throw planError(
      "PLAN_BASE_INVALID",
      `failed to parse stage name ${JSON.stringify(image)}: ${error.message}`,
      {
        hint,
        location,
        details: { word: place.word ?? image },
      },
    );
  }
}

function contextBase(name: string, context: NamedContext): StageBase {
  switch (context.type) {
    case "scratch":
      return { kind: "scratch" };
    case "image":
      return { kind: "image", reference: context.reference, contextName: name };
    case "oci-layout":
      return { kind: "image", reference: name, layout: context, contextName: name };
    case "directory":
      return { kind: "context", name, op: { type: "context", name } };
    case "git":
    case "http":
      return { kind: "context", name, op: context };
    default:
      return unreachable(context);
  }
}

/** Raw names behind --from, one for each source of the step; undefined is the build context, or nothing. */
function sourceNames(instruction: StageInstruction): readonly (string | undefined)[] {
  if (instruction.keyword === "RUN") return mountSourceNames(instruction);
  if (instruction.keyword !== "COPY" || instruction.from === undefined) return [];
  const { from, location } = instruction;
  if (locateFailure(location, () => expandWord(from, () => undefined)) === from) return [from];
  throw planError("PLAN_FROM_INVALID", `variable expansion is not supported for --from: ${from}`, {
    hint: "give the image a name in a stage of its own (FROM $IMAGE AS tools) and use that name",
    location,
    details: { word: `--from=${from}` },
  });
}

function findSource(
  name: string,
  graph: {
    readonly stages: readonly StageNode[];
    readonly byName: ReadonlyMap<string, StageNode>;
    readonly instruction: StageInstruction;
    readonly contexts: NamedContexts;
  },
): StageNode {
  const { stages, byName, instruction, contexts } = graph;
  const { location, keyword } = instruction;
  const named = byName.get(name.toLowerCase());
  if (named !== undefined) return named;
  // Mounts know names only.
  if (keyword === "COPY" && /^[+-]?\d+$/.test(name)) {
    const numbered = stages[Number(name)];
    if (numbered !== undefined) return numbered;
    throw planError("PLAN_FROM_INVALID", `invalid stage index ${String(Number(name))}`, {
      hint: `the ${String(stages.length)} stages are counted from 0; better give the stage a name`,
      location,
      details: { word: `--from=${name}` },
    });
  }
  return foreignNode(name, toBase(name, { byName: new Map(), location, contexts }), location);
}

function foreignNode(name: string, base: StageBase, location: SourceLocation): StageNode {
  return {
    index: undefined,
    title: name,
    name: undefined,
    location,
    base,
    isReplaced: false,
    platform: undefined,
    steps: [],
  };
}

/** The reference builder counts every mount as a source of its own, even one without --from. */
function countForeign(
  instruction: StageInstruction,
  sources: readonly (StageNode | undefined)[],
): boolean {
  if (instruction.keyword === "RUN") {
    return sources.some((source) => source === undefined || source.index === undefined);
  }
  return sources.some((source) => source !== undefined && source.index === undefined);
}

function findTarget(
  target: string | undefined,
  stages: readonly StageNode[],
  byName: ReadonlyMap<string, StageNode>,
): StageNode {
  const stage =
    target === undefined || target === "" ? stages.at(-1) : byName.get(target.toLowerCase());
  if (stage !== undefined) return stage;
  const names = [...byName.keys()];
  throw planError(
    "PLAN_TARGET_UNKNOWN",
    withSuggestion(`target stage ${JSON.stringify(target)} could not be found`, {
      word: target ?? "",
      candidates: names,
    }),
    {
      hint:
        names.length === 0
          ? "no stage has a name: write FROM image AS name"
          : `the stages are ${names.join(", ")}`,
      details: { target: target ?? null, stages: names },
    },
  );
}
