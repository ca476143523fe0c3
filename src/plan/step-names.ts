import { formatPlatform, type Platform } from "../core/index.ts";
import { processWord, type EscapeCharacter, type Lookup } from "../dockerfile/index.ts";
import type { StageNode } from "./stage-graph.ts";

const numbered = new Set(["RUN", "COPY", "ADD", "WORKDIR"]);

/** Gives the numbered steps of one stage their names: `[builder 2/4] RUN make`. */
export class StepNames {
  readonly #title: string;
  readonly #total: number;
  #number = 0;

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
    this.#title = [
      platform === undefined ? "" : formatPlatform(platform),
      isAlone ? "" : stage.title,
    ]
      .filter((part) => part !== "")
      .map((part) => `${part} `)
      .join("");
    const steps = stage.steps.filter(({ instruction }) => numbered.has(instruction.keyword));
    const hasForeignBase = stage.base.kind === "image" || stage.base.kind === "context";
    this.#total = steps.length + (hasForeignBase ? 1 : 0);
  }

  /** The next step's name. */
  next(text: string, isTrigger = false): string {
    if (this.#total === 0) return text;
    this.#number++;
    const total = String(this.#total);
    const number = String(this.#number).padStart(total.length);
    return `[${this.#title}${number}/${total}] ${isTrigger ? "ONBUILD " : ""}${text}`;
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
