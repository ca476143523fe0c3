import type { Platform, SourceLocation } from "../core/index.ts";
import type { ExecConfig, HistoryEntry, ImageConfig } from "../image/index.ts";
import type { BaseImage, PlannedHistory, VertexId } from "./types.ts";

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * A stage while its instructions are folded, one after the other. Rules change it in place; a stage built from it
 * starts with a copy.
 */
export interface StageState {
  /** Filesystem as of now. */
  root: VertexId;
  readonly platform: Platform;
  /** What expansion and RUN see: ENV and set ARGs. The latest assignment is last. Changed by setEnvironment alone. */
  readonly env: Map<string, string>;
  /** `env` as RUN takes it, until it changes: steps between two assignments share one list. */
  envList: readonly string[] | undefined;
  /** ARGs in the order of their first declaration, for the history of RUN. */
  readonly args: Map<string, string | undefined>;
  readonly image: ImageState;
  readonly baseHistory: readonly HistoryEntry[];
  readonly history: HistoryChain;
  /** Where this stage itself gave what only counts once. */
  readonly seen: Map<"CMD" | "ENTRYPOINT" | "HEALTHCHECK", SourceLocation>;
  /** Whether WORKDIR was given, here or in the stages that this one is built on. */
  hasWorkdir: boolean;
  /** Whether the config that it began with is made up: see `BaseImage.isUnknown`. */
  readonly isBaseUnknown: boolean;
}

/** What a stage adds to the history, behind that of the stage it is built on: shared, since every child holds it. */
export interface HistoryChain {
  readonly before: HistoryChain | undefined;
  readonly own: PlannedHistory[];
}

/** All of a chain, in order. */
export function listHistory(chain: HistoryChain): readonly PlannedHistory[] {
  const parts: (readonly PlannedHistory[])[] = [];
  for (let at: HistoryChain | undefined = chain; at !== undefined; at = at.before) {
    parts.push(at.own);
  }
  return parts.reverse().flat();
}

/** The image config in a form that is cheap to change. */
export interface ImageState extends Omit<
  ImageConfig,
  "config" | "diffIds" | "history" | "created" | "author"
> {
  author: string | undefined;
  /** ENV only, order kept: an assignment to a known name keeps its place. */
  readonly env: Map<string, string>;
  readonly exposedPorts: Set<string>;
  readonly volumes: Set<string>;
  readonly labels: Map<string, string>;
  readonly onBuild: string[];
  config: Omit<ExecConfig, "env" | "exposedPorts" | "volumes" | "labels" | "onBuild">;
}

/** A stage on an image: its config without `created` and OnBuild, and PATH in any case. */
export function startFromImage(base: BaseImage, root: VertexId, platform: Platform): StageState {
  const { created: _created, diffIds: _diffIds, history, config, author, ...rest } = base.config;
  const { env, exposedPorts, volumes, labels, onBuild: _onBuild, ...exec } = config;
  const image: ImageState = {
    ...rest,
    author,
    env: parseEnvironment(env ?? []),
    exposedPorts: new Set(exposedPorts),
    volumes: new Set(volumes),
    labels: new Map(Object.entries(labels ?? {})),
    onBuild: [],
    config: exec,
  };
  if (!image.env.has("PATH") && platform.os !== "windows") image.env.set("PATH", defaultPath);
  return {
    ...start({ root, platform, image, baseHistory: history }),
    isBaseUnknown: base.isUnknown === true,
  };
}

/** A stage on nothing. */
export function startFromScratch(root: VertexId, platform: Platform): StageState {
  const { os, architecture, variant } = platform;
  const image: ImageState = {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    author: undefined,
    env: new Map([["PATH", defaultPath]]),
    exposedPorts: new Set(),
    volumes: new Set(),
    labels: new Map(),
    onBuild: [],
    config: { workingDir: "/" },
  };
  return start({ root, platform, image, baseHistory: [] });
}

/** A stage on another one of the same file: everything is inherited but its triggers. */
export function startFromStage(parent: StageState): StageState {
  const { image } = parent;
  return {
    ...parent,
    env: new Map(parent.env),
    args: new Map(parent.args),
    history: { before: parent.history, own: [] },
    seen: new Map(),
    image: {
      ...image,
      env: new Map(image.env),
      exposedPorts: new Set(image.exposedPorts),
      volumes: new Set(image.volumes),
      labels: new Map(image.labels),
      onBuild: [],
    },
  };
}

function start(
  beginning: Pick<StageState, "root" | "platform" | "image" | "baseHistory">,
): StageState {
  const env = new Map(beginning.image.env);
  const { workingDir } = beginning.image.config;
  if (workingDir !== undefined && workingDir !== "" && !workingDir.startsWith("/")) {
    beginning.image.config = { ...beginning.image.config, workingDir: `/${workingDir}` };
  }
  return {
    ...beginning,
    env,
    envList: undefined,
    args: new Map(),
    history: { before: undefined, own: [] },
    seen: new Map(),
    hasWorkdir: false,
    isBaseUnknown: false,
  };
}

/** The later assignment wins and moves to the end, which is the order that the cache key sees. */
export function setEnvironment(state: StageState, name: string, value: string): void {
  state.envList = undefined;
  state.env.delete(name);
  state.env.set(name, value);
}

/** Build arguments for the scanner of the bill of materials, even where ARG declares them. */
const neverExported = new Set(["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]);

/** `KEY=value` of everything that a RUN sees. */
export function listEnvironment(state: StageState): readonly string[] {
  return (state.envList ??= formatEnvironment(
    new Map([...state.env].filter(([name]) => !neverExported.has(name))),
  ));
}

/** The config as an image document has it, empty members left out. */
export function finishConfig(
  image: ImageState,
): Omit<ImageConfig, "diffIds" | "history" | "created"> {
  const { author, env, exposedPorts, volumes, labels, onBuild, config, ...rest } = image;
  return {
    ...rest,
    ...(author === undefined || author === "" ? {} : { author }),
    config: {
      ...config,
      ...(env.size === 0 ? {} : { env: formatEnvironment(env) }),
      ...(exposedPorts.size === 0 ? {} : { exposedPorts: [...exposedPorts].sort() }),
      ...(volumes.size === 0 ? {} : { volumes: [...volumes].sort() }),
      ...(labels.size === 0 ? {} : { labels: sortedRecord(labels) }),
      ...(onBuild.length === 0 ? {} : { onBuild: [...onBuild] }),
    },
  };
}

function formatEnvironment(env: ReadonlyMap<string, string>): readonly string[] {
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}

function parseEnvironment(entries: readonly string[]): Map<string, string> {
  const env = new Map<string, string>();
  for (const entry of entries) {
    const equals = entry.indexOf("=");
    if (equals < 0) env.set(entry, "");
    else env.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return env;
}

function sortedRecord(values: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  return Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
