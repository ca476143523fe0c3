import type { Platform, SourceLocation } from "../core/index.ts";
import { describeName, expandWord, type Dockerfile } from "../dockerfile/index.ts";
import { evaluateGlobalArgs, type GlobalArgs } from "./global-args.ts";
import type { ArgDeclaration, ExecMount, Plan, PlanObserver, PlanOptions } from "./types.ts";

/** What can be given to the build of one target, in the order of the file. */
export interface Outline {
  /** Name and description of the target stage. */
  readonly name?: string;
  readonly description?: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineNeed[];
  readonly ssh: readonly OutlineNeed[];
  readonly caches: readonly Pick<OutlineNeed, "name" | "location">[];
}

export interface OutlineArg {
  readonly name: string;
  readonly description?: string;
  /** What it has in this build: what was given, else its default. */
  readonly value?: string;
  readonly location: SourceLocation;
}

/** A secret, an SSH agent or a cache, by its id. */
export interface OutlineNeed {
  readonly name: string;
  readonly required: boolean;
  readonly location: SourceLocation;
}

/**
 * Plans by `plan`, which is given what has to watch, and describes what the target and the stages below it take. An ARG
 * that several stages declare is told as the last of them has it.
 */
export async function outlineBuild(
  dockerfile: Dockerfile,
  request: {
    readonly options: Pick<PlanOptions, "buildArgs" | "buildPlatform" | "target"> & {
      readonly platform: Platform;
    };
    readonly plan: (observer: PlanObserver) => Promise<Plan>;
  },
): Promise<Outline> {
  const { options } = request;
  const stages = new Map<number, ArgDeclaration[]>();
  let current: ArgDeclaration[] = [];
  const plan = await request.plan({
    onStage: (index) => {
      current = [];
      stages.set(index, current);
    },
    onArg: (declaration) => current.push(declaration),
  });
  const globalArgs = evaluateGlobalArgs(dockerfile, options, options.platform);
  const target = dockerfile.stages[Math.max(...stages.keys())];
  const name = target?.name;
  const description = name === undefined ? undefined : describeName(name, target?.from.comments);
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    args: listArgs({ dockerfile, globalArgs, stages }),
    ...listMounts(plan),
  };
}

interface ArgScope {
  readonly dockerfile: Dockerfile;
  readonly globalArgs: GlobalArgs;
  /** Declarations by the number of their stage. */
  readonly stages: ReadonlyMap<number, readonly ArgDeclaration[]>;
}

/** From the target down: the first one to have a name tells it. */
function listArgs(scope: ArgScope): readonly OutlineArg[] {
  const globals = globalDeclarations(scope);
  const found = new Map<string, OutlineArg>();
  for (const index of [...scope.stages.keys()].sort((a, b) => b - a)) {
    const own = new Map<string, OutlineArg>();
    const used = namesInFrom(index, scope);
    for (const { name, value, isInherited, instruction } of scope.stages.get(index) ?? []) {
      used.add(name);
      if (!isInherited) own.set(name, toArg({ name, value, instruction }));
    }
    for (const name of withDefaults(used, globals)) {
      const told = own.get(name) ?? globals.get(name)?.told;
      if (told !== undefined && !found.has(name)) found.set(name, told);
    }
  }
  return [...found.values()].sort(byPlace);
}

interface GlobalDeclaration {
  readonly told: OutlineArg;
  /** Names that its default uses. */
  readonly uses: ReadonlySet<string>;
}

function globalDeclarations({
  dockerfile,
  globalArgs,
}: ArgScope): ReadonlyMap<string, GlobalDeclaration> {
  const declared = new Map<string, GlobalDeclaration>();
  for (const instruction of dockerfile.globalArgs) {
    for (const { name, defaultValue } of instruction.args) {
      const told = toArg({ name, value: globalArgs.get(name), instruction });
      const uses = namesIn(defaultValue ?? "", { dockerfile, globalArgs });
      declared.set(name, { told, uses });
    }
  }
  return declared;
}

/** The names, and those that the defaults of global ones among them use. */
function withDefaults(
  names: ReadonlySet<string>,
  globals: ReadonlyMap<string, GlobalDeclaration>,
): ReadonlySet<string> {
  const all = new Set(names);
  for (const name of all) {
    for (const used of globals.get(name)?.uses ?? []) all.add(used);
  }
  return all;
}

function namesInFrom(index: number, scope: ArgScope): Set<string> {
  const from = scope.dockerfile.stages[index]?.from;
  const words = [from?.image ?? "", from?.platform ?? ""];
  return new Set(words.flatMap((word) => [...namesIn(word, scope)]));
}

/** Variables of a word that have a value. */
function namesIn(
  word: string,
  { dockerfile, globalArgs }: Pick<ArgScope, "dockerfile" | "globalArgs">,
): ReadonlySet<string> {
  const names = new Set<string>();
  const lookup = (name: string): string | undefined => {
    if (globalArgs.has(name)) names.add(name);
    return globalArgs.get(name);
  };
  expandWord(word, lookup, dockerfile.directives.escape);
  return names;
}

function toArg({
  name,
  value,
  instruction,
}: Pick<ArgDeclaration, "name" | "value" | "instruction">): OutlineArg {
  const description = describeName(name, instruction.comments);
  return {
    name,
    ...(description === undefined ? {} : { description }),
    ...(value === undefined ? {} : { value }),
    location: instruction.location,
  };
}

function listMounts({ vertices }: Plan): Pick<Outline, "secrets" | "ssh" | "caches"> {
  const needs = { secret: new Map(), ssh: new Map(), cache: new Map() } as Readonly<
    Record<"secret" | "ssh" | "cache", Map<string, OutlineNeed>>
  >;
  for (const { op, location } of vertices) {
    if (op.type !== "exec" || location === undefined) continue;
    for (const mount of op.mounts) {
      if (mount.type !== "secret" && mount.type !== "ssh" && mount.type !== "cache") continue;
      const found = needs[mount.type];
      if (!found.has(mount.id)) found.set(mount.id, toNeed(mount, location));
    }
  }
  const list = (found: ReadonlyMap<string, OutlineNeed>): readonly OutlineNeed[] =>
    [...found.values()].sort(byPlace);
  return { secrets: list(needs.secret), ssh: list(needs.ssh), caches: list(needs.cache) };
}

function toNeed(
  mount: Extract<ExecMount, { readonly type: "secret" | "ssh" | "cache" }>,
  location: SourceLocation,
): OutlineNeed {
  return { name: mount.id, required: mount.type !== "cache" && mount.required, location };
}

function byPlace(
  a: { readonly location: SourceLocation },
  b: { readonly location: SourceLocation },
): number {
  return a.location.line - b.location.line;
}
