import {
  TsbuildError,
  explainSystemError,
  formatPlace,
  isTsbuildError,
  renderExcerpt,
} from "../core/index.ts";
import { styleFor, wantsColor, type Style } from "./progress/style.ts";
import { sanitiseLine } from "./progress/terminal-text.ts";
import type { ProgressStream } from "./progress/types.ts";

export interface PrintErrorOptions {
  readonly stream: ProgressStream;
  /** Stack traces too. */
  readonly debug: boolean;
  /** Unless given: on a terminal, and NO_COLOR is not set. */
  readonly color?: boolean | undefined;
  /** Instead of the error's own. */
  readonly hint?: string | undefined;
}

/** Lines of a failed step's output that are repeated. */
const tailLines = 20;
/** Causes that are told; what lies deeper is for --debug. */
const toldCauses = 3;

/**
 * Tells a failure: what the failed step wrote last, the place in the Dockerfile, `tsbuild: message [CODE]`, its causes,
 * and what to do next. An error that is none of ours is a defect and says so.
 */
export function printError(error: unknown, options: PrintErrorOptions): void {
  const style = styleFor(options.color ?? wantsColor(options.stream));
  const isTerminal = options.stream.isTTY === true;
  const clean = (text: string): string =>
    isTerminal ? sanitiseLine(text, { color: style.color }) : text;
  const known = isAbort(error) ? canceled() : explainSystemError(error);
  const lines = isTsbuildError(known)
    ? knownLines(known, { style, clean, hint: options.hint ?? known.hint })
    : unknownLines(error, style);
  if (options.debug) lines.push(...stackLines(error).map(style.faint));
  options.stream.write(`${lines.join("\n")}\n`);
}

/** What an AbortSignal throws when nobody gave it a reason. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

function canceled(): TsbuildError {
  return new TsbuildError({ code: "CANCELED", message: "canceled" });
}

interface Looks {
  readonly style: Style;
  readonly hint: string | undefined;
  readonly clean: (text: string) => string;
}

function knownLines(error: TsbuildError, looks: Looks): string[] {
  const { style, clean, hint } = looks;
  const message = error.message.split("\n").map(clean).join("\n");
  const lines = [
    ...outputLines(error, looks),
    ...excerptLines(error, looks),
    `${style.bad("tsbuild:")} ${message} ${style.faint(`[${error.code}]`)}`,
    ...causeLines(error).map(clean),
  ];
  if (hint !== undefined) lines.push(`${style.known("hint:")} ${clean(hint)}`);
  return lines;
}

/** The end of what a failed RUN wrote; `details.outputTail` holds it. */
function outputLines(error: TsbuildError, { clean }: Looks): string[] {
  const { outputTail } = error.details;
  if (typeof outputTail !== "string" || outputTail.trim() === "") return [];
  const lines = outputTail.trimEnd().split("\n").slice(-tailLines);
  return ["------", ...lines.map(clean), "------"];
}

/** The line with its neighbours where `details.source` holds the file's text, else only its place. */
function excerptLines(error: TsbuildError, { style }: Looks): string[] {
  const { location } = error;
  if (location === undefined) return [];
  const { source } = error.details;
  const lines =
    typeof source === "string" && source !== "" ? source.replace(/\n$/, "").split(/\r?\n/) : [];
  if (lines.length === 0) return [formatPlace(location)];
  return renderExcerpt(lines, location)
    .trimEnd()
    .split("\n")
    .map((line) => sanitiseLine(line, { color: false }))
    .map((line) => (/^ *\d+ \| >>>/.test(line) ? style.strong(line) : line));
}

/** Each cause's message once; one that the message above it already tells is left out. */
function causeLines(error: Error): string[] {
  const lines: string[] = [];
  // Why somebody wanted it to end is known to whom ended it.
  if (isTsbuildError(error, "CANCELED")) return lines;
  let told = error.message;
  let { cause } = error;
  while (cause instanceof Error && lines.length < toldCauses) {
    const text = cause.message.split("\n")[0] ?? "";
    if (text !== "" && !told.includes(text)) lines.push(`  because: ${text}`);
    told = text;
    cause = cause.cause;
  }
  return lines;
}

function unknownLines(error: unknown, style: Style): string[] {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [
    `${style.bad("tsbuild:")} internal error: ${message} ${style.faint("[INTERNAL]")}`,
    `${style.known("hint:")} this is a defect of tsbuild; please report it with what --debug prints`,
  ];
}

/** The stacks of the error and of its causes, as far as they are errors. */
function stackLines(error: unknown): string[] {
  const lines: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at !== error) lines.push("caused by:");
    lines.push(...(at.stack ?? `${at.name}: ${at.message}`).split("\n"));
  }
  return lines;
}
