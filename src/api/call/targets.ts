import type { SourceLocation } from "../../core/index.ts";
import { describeName, parseDockerfile, type StageSyntax } from "../../dockerfile/index.ts";
import type { BuildOptions } from "../build/options.ts";
import { openCall } from "./open-call.ts";
import {
  toLocationDocument,
  toSources,
  type LocationDocument,
  type SourceFile,
} from "./source-file.ts";

export interface TargetsResult {
  readonly targets: readonly TargetRow[];
  readonly source: SourceFile;
}

/** A stage, as `--target` takes it. */
export interface TargetRow {
  /** Undefined for a stage without a name. */
  readonly name?: string;
  readonly description?: string;
  /** Whether it is built when no target is given. */
  readonly isDefault: boolean;
  /** Base and platform as FROM has them, not expanded. */
  readonly base: string;
  readonly platform?: string;
  readonly location: SourceLocation;
}

/**
 * Lists the stages of a Dockerfile. Nothing but the file is read.
 * @throws DOCKERFILE_*, CONTEXT_*
 */
export async function listTargets(options: BuildOptions): Promise<TargetsResult> {
  return openCall(options, async ({ source }) => {
    const { stages } = parseDockerfile(source.bytes, { file: source.name });
    return {
      targets: stages.map((stage, index) => toRow(stage, index === stages.length - 1)),
      source,
    };
  });
}

function toRow({ name, from }: StageSyntax, isDefault: boolean): TargetRow {
  const description = name === undefined ? undefined : describeName(name, from.comments);
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    isDefault,
    base: from.image,
    ...(from.platform === undefined ? {} : { platform: from.platform }),
    location: from.location,
  };
}

/** What `--call=targets,format=json` prints: the result of BuildKit's `frontend.targets`, version 1.0.0. */
export interface TargetsDocument {
  readonly targets: readonly {
    readonly name?: string;
    readonly default?: true;
    readonly description?: string;
    readonly base: string;
    readonly platform?: string;
    readonly location: LocationDocument;
  }[];
  readonly sources: readonly string[];
}

export function toTargetsDocument({ targets, source }: TargetsResult): TargetsDocument {
  return {
    targets: targets.map(({ name, isDefault, description, base, platform, location }) => ({
      ...(name === undefined ? {} : { name }),
      ...(isDefault ? { default: true } : {}),
      ...(description === undefined ? {} : { description }),
      base,
      ...(platform === undefined ? {} : { platform }),
      location: toLocationDocument(location),
    })),
    sources: toSources(source),
  };
}
