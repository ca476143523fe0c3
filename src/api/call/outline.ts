import { hostPlatform } from "../../core/index.ts";
import { parseDockerfile } from "../../dockerfile/index.ts";
import { outlineBuild, type Outline, type OutlineNeed } from "../../plan/index.ts";
import { makePlan } from "../build/make-plan.ts";
import { parsePairs, type BuildOptions } from "../build/options.ts";
import { openCall } from "./open-call.ts";
import {
  toLocationDocument,
  toSources,
  type LocationDocument,
  type SourceFile,
} from "./source-file.ts";

export interface OutlineResult extends Outline {
  readonly source: SourceFile;
}

/**
 * Describes what the target takes: build arguments, secrets, SSH agents, cache mounts.
 * @throws what planning throws: DOCKERFILE_*, PLAN_*, REGISTRY_*
 */
export async function outlineDockerfile(options: BuildOptions): Promise<OutlineResult> {
  return openCall(options, async (call) => {
    const { source, targets } = call;
    const dockerfile = parseDockerfile(source.bytes, { file: source.name });
    const { buildPlatform } = targets;
    const [platform = hostPlatform()] = targets.platforms;
    const outline = await outlineBuild(dockerfile, {
      options: {
        buildArgs: parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID"),
        buildPlatform,
        platform,
        ...(options.target === undefined ? {} : { target: options.target }),
      },
      plan: (observer) =>
        makePlan(dockerfile, {
          ...call,
          options,
          targets: { ...targets, platforms: [platform] },
          observer,
        }),
    });
    return { ...outline, source };
  });
}

/** What `--call=outline,format=json` prints: the result of BuildKit's `frontend.outline`, version 1.0.0. */
export interface OutlineDocument {
  readonly name?: string;
  readonly description?: string;
  readonly args?: readonly {
    readonly name: string;
    readonly description?: string;
    readonly value?: string;
    readonly location: LocationDocument;
  }[];
  readonly secrets?: readonly NeedDocument[];
  readonly ssh?: readonly NeedDocument[];
  readonly cache?: readonly { readonly ID: string; readonly location: LocationDocument }[];
  readonly sources: readonly string[];
}

interface NeedDocument {
  readonly name: string;
  readonly required?: true;
  readonly location: LocationDocument;
}

/** Empty members are left out. */
export function toOutlineDocument(outline: OutlineResult): OutlineDocument {
  const { name, description, args, secrets, ssh, caches, source } = outline;
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...listed(
      "args",
      args.map(({ value = "", ...arg }) => ({
        name: arg.name,
        ...(arg.description === undefined ? {} : { description: arg.description }),
        ...(value === "" ? {} : { value }),
        location: toLocationDocument(arg.location),
      })),
    ),
    ...listed("secrets", secrets.map(toNeedDocument)),
    ...listed("ssh", ssh.map(toNeedDocument)),
    ...listed(
      "cache",
      caches.map(({ name: ID, location }) => ({
        ID,
        location: toLocationDocument(location),
      })),
    ),
    sources: toSources(source),
  };
}

function listed<Name extends string, Item>(
  name: Name,
  items: readonly Item[],
): { readonly [Key in Name]?: readonly Item[] } {
  return (items.length === 0 ? {} : { [name]: items }) as { [Key in Name]?: readonly Item[] };
}

function toNeedDocument({ name, required, location }: OutlineNeed): NeedDocument {
  return { name, ...(required ? { required } : {}), location: toLocationDocument(location) };
}
