import { locateError, type SourceLocation } from "../core/index.ts";
import {
  expandWord,
  type AddInstruction,
  type Dockerfile,
  type StageSyntax,
} from "../dockerfile/index.ts";
import { planError, planErrorAt } from "./errors.ts";
import type { GlobalArgs } from "./global-args.ts";
import { locateFailure } from "./locate-failure.ts";
import { findNamedContext } from "./named-contexts.ts";
import { fileNameOf } from "./rules/copy-sources.ts";
import { readGitSource, toGitOp } from "./rules/git-source.ts";
import type { PlanOptions, TimedSource } from "./types.ts";

const name = "SOURCE_DATE_EPOCH";

/** The arguments of a build once the epoch is a number: what stages see through `ARG SOURCE_DATE_EPOCH`. */
export interface EpochArgs {
  readonly seconds: number | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globalArgs: GlobalArgs;
}

interface EpochRequest {
  readonly dockerfile: Dockerfile;
  readonly options: PlanOptions;
  readonly globalArgs: GlobalArgs;
}

/**
 * Turns SOURCE_DATE_EPOCH, a build argument or else the default of a global ARG, into seconds. Beside a number it may be
 * `context`, a named context, or a stage that does nothing but ADD one thing from elsewhere: then it is the time of
 * that. What has no time, such as a local directory, and the empty text mean that there is no epoch.
 * @throws PLAN_EPOCH_INVALID, and what asking for the time throws
 */
export async function resolveEpoch(request: EpochRequest): Promise<EpochArgs> {
  const { options, globalArgs } = request;
  const value = options.buildArgs.get(name) ?? globalArgs.get(name);
  const { buildArgs } = options;
  if (value === undefined) return { seconds: undefined, buildArgs, globalArgs };
  const seconds = await secondsOf(value, request).catch((error: unknown) => {
    throw locatedAtArg(error, request);
  });
  return {
    seconds,
    buildArgs: replaced(buildArgs, seconds),
    globalArgs: replaced(globalArgs, seconds),
  };
}

/** What a global ARG says is wrong there; a build argument stands in no file. */
function locatedAtArg(error: unknown, { dockerfile, options }: EpochRequest): unknown {
  if (options.buildArgs.has(name)) return error;
  const arg = dockerfile.globalArgs.findLast(({ args }) => args.some((one) => one.name === name));
  return arg === undefined ? error : locateError(error, arg.location);
}

async function secondsOf(value: string, request: EpochRequest): Promise<number | undefined> {
  if (value === "") return undefined;
  if (/^[+-]?\d+$/.test(value)) return checkRange(Number(value), value);
  const source = findSource(value, request);
  return source === undefined ? undefined : request.options.resolveTime?.(source);
}

/** What a date can hold: some 270,000 years to either side of 1970. */
function checkRange(seconds: number, value: string): number {
  if (Math.abs(seconds) <= 8.64e12) return seconds;
  throw invalid(value, "it is too large");
}

function replaced(
  args: ReadonlyMap<string, string>,
  seconds: number | undefined,
): ReadonlyMap<string, string> {
  if (!args.has(name)) return args;
  const changed = new Map(args);
  if (seconds === undefined) changed.delete(name);
  else changed.set(name, String(seconds));
  return changed;
}

/** undefined for a source that has no time. */
function findSource(value: string, request: EpochRequest): TimedSource | undefined {
  if (value === "context") return { type: "context" };
  const named = findNamedContext(value, request.options);
  if (named !== undefined) {
    const { context } = named;
    return context.type === "git" || context.type === "http" ? context : undefined;
  }
  const stage = request.dockerfile.stages.find((each) => each.name === value.toLowerCase());
  if (stage === undefined) throw invalid(value, "it is no number and names nothing");
  return sourceOfStage(stage, request);
}

/** The one thing that a stage on `scratch` adds from elsewhere; nothing else but ARG may stand in it. */
function sourceOfStage(
  stage: StageSyntax,
  { dockerfile, globalArgs, options }: EpochRequest,
): TimedSource {
  const { location } = stage.from;
  const { escape } = dockerfile.directives;
  const values = new Map(globalArgs);
  values.delete(name);
  const expand = (word: string): string =>
    locateFailure(location, () => expandWord(word, (variable) => values.get(variable), escape));
  if (expand(stage.from.image) !== "scratch") throw unfit(location, "stage must use FROM scratch");
  const adds: AddInstruction[] = [];
  for (const instruction of stage.instructions) {
    if (instruction.keyword === "ADD") adds.push(instruction);
    else if (instruction.keyword === "ARG") {
      for (const arg of instruction.args) {
        const value =
          options.buildArgs.get(arg.name) ??
          (arg.defaultValue === undefined ? undefined : expand(arg.defaultValue));
        if (value !== undefined) values.set(arg.name, value);
      }
    } else {
      const reason = `stage does not meet source-only requirements: unsupported ${instruction.keyword} instruction`;
      throw unfit(location, reason);
    }
  }
  const [add, ...more] = adds;
  if (add === undefined || more.length > 0)
    throw unfit(location, "stage must contain exactly one remote ADD");
  const source = toTimedSource(add, expand);
  if (source === undefined)
    throw unfit(location, "stage source must be a single HTTP(S) or Git ADD");
  return source;
}

function toTimedSource(
  add: AddInstruction,
  expand: (word: string) => string,
): TimedSource | undefined {
  const [word, ...more] = add.sources;
  if (word === undefined || more.length > 0 || add.heredocs.length > 0) return undefined;
  const url = expand(word);
  const git = readGitSource(url, add.location);
  if (git !== undefined) return toGitOp(git, { instruction: add, expand });
  return /^https?:\/\//.test(url) ? { type: "http", url, fileName: fileNameOf(url) } : undefined;
}

const hint =
  "give seconds since 1970, `context`, the name of a context, or of a stage FROM scratch with one remote ADD";

function invalid(value: string, reason: string): Error {
  return planError("PLAN_EPOCH_INVALID", `invalid SOURCE_DATE_EPOCH: ${value} (${reason})`, {
    hint,
    details: { value },
  });
}

function unfit(location: SourceLocation, reason: string): Error {
  return planErrorAt(location, "PLAN_EPOCH_INVALID", `SOURCE_DATE_EPOCH ${reason}`, hint);
}
