import type { SourceLocation, TsbuildError } from "../../core/index.ts";
import { dockerfileError, type DockerfileErrorCode } from "../errors.ts";
import { locateText } from "../locate-text.ts";
import type { Directives, Dockerfile, Instruction } from "../types.ts";
import {
  defaultCheckOptions,
  directiveValue,
  parseCheckOptions,
  withComments,
  type CheckOptions,
} from "./check-options.ts";
import { rules } from "./rules/index.ts";
import { noEmptyContinuation } from "./rules/no-empty-continuation.ts";
import type { LintFinding, LintRule, LintStep, LintWarning, ReportFinding } from "./types.ts";

const ownPrefix = "Tsbuild/";

/**
 * Collects what the rules find in one Dockerfile while it is parsed and planned. A finding that comes up several times,
 * for several platforms or stages, counts once.
 */
export class Linter {
  readonly #override: string | undefined;
  readonly #warnings = new Map<string, LintWarning>();
  /** What is wrong in a finding, until the file is there in which it is looked up. */
  readonly #words = new Map<LintWarning, string | RegExp>();
  #dockerfile: Dockerfile | undefined;
  #options: CheckOptions = defaultCheckOptions;

  /** `override` replaces the file's check directive entirely: BUILDKIT_DOCKERFILE_CHECK. */
  constructor(options: { readonly override?: string | undefined } = {}) {
    this.#override = options.override;
  }

  /** Comes first. @throws DOCKERFILE_CHECK_INVALID */
  onDirectives({ check, checkLocation }: Directives): void {
    if (this.#override !== undefined) {
      const name = "build argument BUILDKIT_DOCKERFILE_CHECK";
      this.#options = parseCheckOptions(this.#override, { name });
    } else if (check !== undefined) {
      const source = { name: "check directive", location: checkLocation };
      this.#options = parseCheckOptions(directiveValue(check), source);
    }
  }

  /** An instruction has been read. */
  onInstruction(instruction: Instruction): void {
    for (const rule of rules) rule.onParse?.(instruction, this.#reporter(rule));
  }

  /** An instruction is continued over a blank line; `location` is its last one. */
  onBlankContinuation(location: SourceLocation): void {
    const { message } = noEmptyContinuation;
    this.report(noEmptyContinuation, { at: { location }, message });
  }

  /** The whole file has been read. */
  onDockerfile(dockerfile: Dockerfile): void {
    this.#dockerfile = dockerfile;
    for (const rule of rules) rule.onFile?.(dockerfile, this.#reporter(rule));
  }

  /** An instruction is about to be planned. */
  onStep(step: LintStep): void {
    for (const rule of rules) rule.onStep?.(step, this.#reporter(rule));
  }

  /** A finding of whoever looks on the rule's behalf. */
  report(rule: LintRule, finding: LintFinding): void {
    const { at, message, hint, word, secrets } = finding;
    if (!isOn(rule, withComments(this.#options, at.comments))) return;
    const { name, description, url } = rule;
    const key = `${String(at.location.line)} ${name} ${message}`;
    if (this.#warnings.has(key)) return;
    const warning: LintWarning = {
      code: name,
      message,
      description,
      ...(url === undefined ? {} : { url }),
      ...(hint === undefined ? {} : { hint }),
      location: at.location,
      ...(secrets === undefined ? {} : { secrets }),
    };
    this.#warnings.set(key, warning);
    if (word !== undefined) this.#words.set(warning, word);
  }

  /** In the order of the file. */
  get warnings(): readonly LintWarning[] {
    return [...this.#warnings.values()]
      .map((warning) => this.#withPlace(warning))
      .sort((a, b) => a.location.line - b.location.line);
  }

  /**
   * The failure that `error=true` makes of findings. What tsbuild alone looks for is left out: a file that BuildKit
   * builds is built here too.
   */
  violation(): TsbuildError<DockerfileErrorCode> | undefined {
    const violations = this.warnings.filter(({ code }) => !code.startsWith(ownPrefix));
    const [first] = violations;
    if (!this.#options.error || first === undefined) return undefined;
    const names = [...new Set(violations.map(({ code }) => code))];
    return dockerfileError(
      "DOCKERFILE_CHECK_VIOLATED",
      `lint violation found for rules: ${names.join(", ")}`,
      {
        hint: "follow the rules, skip them with # check=skip=RULE above the line, or remove error=true from the check directive",
        location: first.place ?? first.location,
        details: { rules: names },
      },
    );
  }

  #withPlace(warning: LintWarning): LintWarning {
    const text = this.#words.get(warning);
    if (text === undefined || this.#dockerfile === undefined) return warning;
    const { lines, directives, file } = this.#dockerfile;
    if (warning.location.file !== file) return warning;
    const place = locateText({ lines, escape: directives.escape }, warning.location, { text });
    return place === undefined ? warning : { ...warning, place };
  }

  #reporter(rule: LintRule): ReportFinding {
    return (finding) => this.report(rule, finding);
  }
}

/** Experimental rules are asked for by name and do not care for skip, but tsbuild's own can be skipped by name. */
function isOn(rule: LintRule, { skip, experimental }: CheckOptions): boolean {
  const isNamed = skip !== "all" && skip.has(rule.name);
  if (rule.experimental !== true) return skip !== "all" && !isNamed;
  if (isNamed && rule.name.startsWith(ownPrefix)) return false;
  return experimental === "all" || experimental.has(rule.name);
}
