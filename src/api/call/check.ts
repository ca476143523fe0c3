import { blotTexts, isTsbuildError, type TsbuildError } from "../../core/index.ts";
import { parseDockerfile, type LintWarning } from "../../dockerfile/index.ts";
import { makePlan } from "../build/make-plan.ts";
import type { BuildOptions } from "../build/options.ts";
import { withSource } from "../build/sources.ts";
import { openCall, type OpenCall } from "./open-call.ts";
import { toLocationDocument, type LocationDocument, type SourceFile } from "./source-file.ts";

export interface CheckResult {
  /** In the order of the file. */
  readonly warnings: readonly LintWarning[];
  /** Why the Dockerfile cannot be built, or that the check directive forbids the findings. */
  readonly error: TsbuildError | undefined;
  readonly source: SourceFile;
}

/**
 * Looks for what is wrong with a Dockerfile without building it: all stages, or those that `target` reaches. Base
 * images are looked up, because what variables mean depends on them.
 * @throws DOCKERFILE_NOT_FOUND, CONTEXT_NOT_FOUND, BUILD_ARG_INVALID, CANCELED; what is wrong with the Dockerfile is
 *   part of the result
 */
export async function checkDockerfile(options: BuildOptions): Promise<CheckResult> {
  return openCall(options, async (call) => {
    const { source, checks } = call;
    const error = await findError(options, call);
    const { warnings } = checks.linter;
    const secrets = warnings.flatMap((warning) => warning.secrets ?? []);
    const blotOut = (text: Buffer): Buffer =>
      Buffer.from(blotTexts(text.toString("utf8"), secrets));
    const told = withSource(error, { shown: source.name, bytes: source.bytes }, { blotOut });
    return {
      warnings,
      error: isTsbuildError(told) ? told : undefined,
      source,
    };
  });
}

async function findError(options: BuildOptions, call: OpenCall): Promise<TsbuildError | undefined> {
  const { checks, source } = call;
  try {
    const dockerfile = parseDockerfile(source.bytes, {
      file: source.name,
      observer: checks.linter,
    });
    await makePlan(dockerfile, { ...call, options, allStages: (options.target ?? "") === "" });
    return checks.linter.violation();
  } catch (error) {
    if (!isTsbuildError(error) || isTsbuildError(error, "CANCELED")) throw error;
    return error;
  }
}

/** What `--call=check,format=json` prints: the result of BuildKit's `frontend.lint`, version 1.0.0. */
export interface CheckDocument {
  readonly warnings: readonly {
    readonly ruleName: string;
    readonly description: string;
    readonly url?: string;
    readonly detail: string;
    readonly location: LocationDocument;
  }[];
  readonly sources: readonly {
    readonly filename: string;
    readonly data: string;
    readonly language: string;
  }[];
  readonly buildError?: { readonly message: string; readonly location: Partial<LocationDocument> };
}

/** All lines of the instruction, also where the error knows the wrong word in it. */
function errorLocation({ location, details }: TsbuildError): Partial<LocationDocument> {
  if (location === undefined) return {};
  const [line = location.line, endLine = location.endLine] = Array.isArray(details["lines"])
    ? details["lines"].filter((number) => typeof number === "number")
    : [];
  return toLocationDocument({ line, ...(endLine === undefined ? {} : { endLine }) });
}

export function toCheckDocument({ warnings, error, source }: CheckResult): CheckDocument {
  return {
    warnings: warnings.map(({ code, description, url, message, location }) => ({
      ruleName: code,
      description,
      ...(url === undefined ? {} : { url }),
      detail: message,
      location: toLocationDocument(location),
    })),
    sources: [
      {
        filename: source.name,
        data: source.bytes.toString("base64"),
        language: "Dockerfile",
      },
    ],
    ...(error === undefined
      ? {}
      : {
          buildError: {
            message: error.message,
            location: errorLocation(error),
          },
        }),
  };
}
