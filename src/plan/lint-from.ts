import { isTsbuildError, parsePlatform, parseReference, type Platform } from "../core/index.ts";
import {
  expandWord,
  fromPlatformFlagConstDisallowed,
  invalidDefaultArgInFrom,
  redundantTargetPlatform,
  suggest,
  undefinedArgInFrom,
  type Dockerfile,
  type FromInstruction,
  type Linter,
} from "../dockerfile/index.ts";
import { evaluateGlobalArgs, type GlobalArgs } from "./global-args.ts";
import { useOf } from "./lint-step.ts";
import type { PlanOptions } from "./types.ts";

interface FromScope {
  readonly dockerfile: Dockerfile;
  readonly globalArgs: GlobalArgs;
  readonly linter?: Linter | undefined;
}

/** What the variables of a FROM line are checked for. Mistakes that fail the build are told by whoever expands. */
export function lintFrom(from: FromInstruction, scope: FromScope): void {
  const { linter } = scope;
  if (linter === undefined) return;
  lintVariables(from, expandCounted(from.image, scope), { ...scope, linter });
  if (from.platform === undefined) return;
  const platform = expandCounted(from.platform, scope);
  lintVariables(from, platform, { ...scope, linter });
  const { set, unset, text } = platform;
  if (set.size === 0 && unset.size === 0) lintConstant(from, text, linter);
  const isTarget = set.size === 1 && set.has("TARGETPLATFORM") && unset.size === 0;
  if (!isTarget || text !== scope.globalArgs.get("TARGETPLATFORM")) return;
  linter.report(redundantTargetPlatform, {
    at: from,
    message: redundantTargetPlatform.message(from.platform),
    word: from.platform,
  });
}

/** Whether every FROM still names an image when nobody gives build arguments. */
export function lintDefaultArgs(
  dockerfile: Dockerfile,
  scope: { readonly options: PlanOptions; readonly platform: Platform },
): void {
  const { linter } = scope.options;
  if (linter === undefined) return;
  const globalArgs = defaultArgs(dockerfile, scope);
  if (globalArgs === undefined) return;
  for (const { from } of dockerfile.stages) {
    const { text } = expandCounted(from.image, { dockerfile, globalArgs });
    if (text !== undefined && isReference(text)) continue;
    const message = invalidDefaultArgInFrom.message(from.image);
    linter.report(invalidDefaultArgInFrom, { at: from, message, word: from.image });
  }
}

/** Undefined where a default cannot be expanded: the build itself fails there, or build arguments prevent it. */
function defaultArgs(
  dockerfile: Dockerfile,
  { options, platform }: { readonly options: PlanOptions; readonly platform: Platform },
): GlobalArgs | undefined {
  try {
    return evaluateGlobalArgs(dockerfile, { ...options, buildArgs: new Map() }, platform);
  } catch (error) {
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}

interface Expansion {
  /** Undefined when it cannot be expanded. */
  readonly text: string | undefined;
  readonly set: ReadonlySet<string>;
  readonly unset: ReadonlySet<string>;
}

function expandCounted(word: string, { dockerfile, globalArgs }: FromScope): Expansion {
  const set = new Set<string>();
  const unset = new Set<string>();
  const lookup = (name: string): string | undefined => {
    const value = globalArgs.get(name);
    (value === undefined ? unset : set).add(name);
    return value;
  };
  const expand = (): string => expandWord(word, lookup, dockerfile.directives.escape);
  return { text: tryOrNothing(expand), set, unset };
}

function lintVariables(
  from: FromInstruction,
  { unset }: Expansion,
  { dockerfile, globalArgs, linter }: FromScope & { readonly linter: Linter },
): void {
  const declared = dockerfile.globalArgs.flatMap(({ args }) => args.map(({ name }) => name));
  const known = new Set([...declared, ...globalArgs.keys()]);
  for (const name of unset) {
    if (known.has(name)) continue;
    const message = undefinedArgInFrom.message(name, suggest(name, known));
    linter.report(undefinedArgInFrom, { at: from, message, word: useOf(name) });
  }
}

/** A stage that says in its name for which platform it is may be tied to it. */
function lintConstant(from: FromInstruction, text: string | undefined, linter: Linter): void {
  const platform = text === undefined ? undefined : tryOrNothing(() => parsePlatform(text));
  if (text === undefined || platform === undefined) return;
  const { stageName = "" } = from;
  if (stageName.includes(platform.os) || stageName.includes(platform.architecture)) return;
  const message = fromPlatformFlagConstDisallowed.message(text);
  const word = from.platform ?? "";
  linter.report(fromPlatformFlagConstDisallowed, { at: from, message, word });
}

function isReference(text: string): boolean {
  return text !== "" && tryOrNothing(() => parseReference(text)) !== undefined;
}

/** A failure of ours means that there is nothing to look at. */
function tryOrNothing<Result>(act: () => Result): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}
