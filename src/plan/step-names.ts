import { formatPlatform, isTsbuildError, parsePlatform, type Platform } from "../core/index.ts";
import { processWord, type EscapeCharacter, type Lookup } from "../dockerfile/index.ts";
import type { StageNode } from "./stage-graph.ts";

const numbered = new Set(["RUN", "COPY", "ADD", "WORKDIR"]);

/** Gives the numbered steps of one stage their names: `[builder 2/4] RUN make`. */
export class StepNames {
  readonly #title: string;
  readonly #platform: Platform | undefined;
  readonly #total: number;
  #number = 0;
  #env: ReadonlyMap<string, string> = new Map();

  constructor(
    stage: StageNode,
    options: {
      /** A lone stage without anything else to read from shows no name. */
      readonly isAlone: boolean;
      /** Shown when several platforms are built. */
      readonly platform: Platform | undefined;
    },
  ) {
    const { platform, isAlone } = options;
    this.#platform = platform;
    this.#title = isAlone ? "" : `${stage.title} `;
    const steps = stage.steps.filter(({ instruction }) => numbered.has(instruction.keyword));
    const hasForeignBase = stage.base.kind === "image" || stage.base.kind === "context";
    this.#total = steps.length + (hasForeignBase ? 1 : 0);
  }

  /** From here on names tell what is built for another platform: by the variables that the stage has by then. */
  watch(env: ReadonlyMap<string, string>): void {
    this.#env = env;
  }

  /** The next step's name. */
  next(text: string, isTrigger = false): string {
    if (this.#total === 0) return text;
    this.#number++;
    const total = String(this.#total);
    const number = String(this.#number).padStart(total.length);
    const title = `${this.#describePlatform()}${this.#title}`;
    return `[${title}${number}/${total}] ${isTrigger ? "ONBUILD " : ""}${text}`;
  }

  /** `linux/amd64->arm64 ` for a stage that runs here and builds for there. */
  #describePlatform(): string {
    const platform = this.#platform;
    if (platform === undefined) return "";
    return `${formatPlatform(platform)}${describeTarget(platform, targetOf(this.#env))} `;
  }
}

function describeTarget(platform: Platform, target: Partial<Platform>): string {
  const { os = platform.os, architecture = platform.architecture, variant } = target;
  const level = variant === undefined || variant === "" ? "" : `/${variant}`;
  if (os !== platform.os) return `->${os}/${architecture}${level}`;
  return architecture === platform.architecture ? "" : `->${architecture}${level}`;
}

/** What the stage's TARGET variables say; without any of them it builds for itself. */
function targetOf(env: ReadonlyMap<string, string>): Partial<Platform> {
  const whole = env.get("TARGETPLATFORM");
  const parsed = whole === undefined ? undefined : platformOf(whole);
  if (parsed !== undefined) return parsed;
  const [os, architecture, variant] = ["TARGETOS", "TARGETARCH", "TARGETVARIANT"].map((name) =>
    env.get(name),
  );
  return {
    ...(os ? { os } : {}),
    ...(architecture ? { architecture } : {}),
    ...(variant ? { variant } : {}),
  };
}

/** The variable may say anything. */
function platformOf(text: string): Platform | undefined {
  try {
    return parsePlatform(text);
  } catch (error) {
    if (isTsbuildError(error, "PLATFORM_INVALID")) return undefined;
    throw error;
  }
}

/** An instruction as progress shows it: keyword in upper case, variables filled in. */
export function describeInstruction(
  original: string,
  options: { readonly lookup: Lookup; readonly escape: EscapeCharacter; readonly isShell: boolean },
): string {
  return expandForDisplay(original, options).replace(/^\s*\S+/, (keyword) =>
    keyword.trim().toUpperCase(),
  );
}

function expandForDisplay(
  original: string,
  { lookup, escape, isShell }: Parameters<typeof describeInstruction>[1],
): string {
  if (!/[$'"\\`]/.test(original)) return original;
  try {
    return processWord(original, { lookup, escape, rawQuotes: isShell, keepUnset: isShell }).text;
  } catch {
    // A shell command need not be readable for us; then it is shown as written.
    return original;
  }
}

/** A step's name taken apart again: stage (empty where there is only one), `2/4`, and what it does. */
export function readStepName(name: string): {
  readonly stage: string;
  /** Undefined for what is no numbered step. */
  readonly step: string | undefined;
  readonly text: string;
} {
  const [, stage = "", number, text = name] =
    /^\[(?:(.*?) )? *(\d+\/\d+)\] (.*)$/s.exec(name) ?? [];
  return { stage, step: number, text };
}
