import { chainIdOf, familiarReference, parseReference, type ChainId } from "../core/index.ts";
import type { ExecConfig, ImageConfig } from "../image/index.ts";
import { idOf, type LocalImageSummary } from "../local/index.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { findImage } from "./images.ts";

/** What `inspect` tells of an image, in the spelling that scripts written for docker expect. */
export interface InspectedImage {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
  readonly Comment: string;
  readonly Created: string | undefined;
  readonly Author: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  readonly Size: number;
  readonly RootFS: { readonly Type: "layers"; readonly Layers: readonly string[] };
}

/** `onFailed` is told of an image that is not here, and the others go on. @throws IMAGE_NOT_FOUND without it */
export async function inspectImages(
  options: EngineOptions & {
    readonly images: readonly string[];
    readonly onFailed?: (error: unknown) => void;
  },
): Promise<readonly InspectedImage[]> {
  return withEngine(options, async (engine) => {
    const summaries = await engine.images.list();
    const found: InspectedImage[] = [];
    for (const name of options.images) {
      try {
        found.push(await inspectOne(engine, name, summaries));
      } catch (error) {
        if (options.onFailed === undefined) throw error;
        options.onFailed(error);
      }
    }
    return found;
  });
}

async function inspectOne(
  engine: Engine,
  name: string,
  summaries: readonly LocalImageSummary[],
): Promise<InspectedImage> {
  const image = await findImage(engine, name);
  const { id, config } = image;
  const summary = summaries.find((each) => each.id === id);
  return inspectConfig(config, {
    Id: idOf(await engine.images.groupOf(image)),
    RepoTags: tagsOf(summary?.names ?? []),
    RepoDigests: summary?.repoDigests ?? [],
    Size: summary?.size ?? 0,
  });
}

/** What a config document tells, in docker's spelling. */
export function inspectConfig(
  config: ImageConfig,
  known: Pick<InspectedImage, "Id" | "RepoTags" | "RepoDigests" | "Size">,
): InspectedImage {
  const { Id, RepoTags, RepoDigests, Size } = known;
  return {
    ...{ Id, RepoTags, RepoDigests },
    Comment: config.history.at(-1)?.comment ?? "",
    Created: config.created,
    Author: config.author ?? "",
    Config: dockerConfig(config.config),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size,
    RootFS: { Type: "layers", Layers: config.diffIds },
  };
}

/** A name by digest is no tag; it stands among the digests. */
function tagsOf(names: readonly string[]): readonly string[] {
  const references = names.map(parseReference).filter(({ digest }) => digest === undefined);
  return references.map(familiarReference);
}

function dockerConfig(config: ExecConfig): Record<string, unknown> {
  const set = (paths: readonly string[] | undefined): Record<string, object> | undefined =>
    paths === undefined ? undefined : Object.fromEntries(paths.map((path) => [path, {}]));
  const health = config.healthcheck;
  return {
    User: config.user ?? "",
    ExposedPorts: set(config.exposedPorts),
    Env: config.env ?? [],
    Cmd: config.cmd ?? null,
    Entrypoint: config.entrypoint ?? null,
    Volumes: set(config.volumes) ?? null,
    WorkingDir: config.workingDir ?? "",
    Labels: config.labels ?? null,
    StopSignal: config.stopSignal,
    OnBuild: config.onBuild ?? null,
    Shell: config.shell,
    Healthcheck: health && {
      Test: health.test,
      Interval: health.interval,
      Timeout: health.timeout,
      StartPeriod: health.startPeriod,
      StartInterval: health.startInterval,
      Retries: health.retries,
    },
  };
}

/** One step of an image's history, as `history` lists it. */
export interface HistoryRow {
  /** The image itself for the newest step; nothing is known of the others. */
  readonly id: string | undefined;
  readonly created: string | undefined;
  readonly createdBy: string;
  /** Bytes of the step's layer. */
  readonly size: number;
  readonly comment: string;
}

/** Newest first. @throws IMAGE_NOT_FOUND */
export async function imageHistory(
  options: EngineOptions & { readonly image: string },
): Promise<readonly HistoryRow[]> {
  return withEngine(options, async (engine) => {
    const { id, config } = await findImage(engine, options.image);
    const chains = config.diffIds.map((_, index) => chainIdOf(config.diffIds.slice(0, index + 1)));
    let layer = 0;
    const rows: HistoryRow[] = [];
    for (const entry of config.history) {
      const chain = entry.emptyLayer === true ? undefined : chains[layer++];
      rows.push({
        id: undefined,
        created: entry.created,
        createdBy: entry.createdBy ?? "",
        size: chain === undefined ? 0 : await layerSize(chain),
        comment: entry.comment ?? "",
      });
    }
    const newest = rows.pop();
    return newest === undefined ? [] : [{ ...newest, id }, ...rows.reverse()];

    async function layerSize(chain: ChainId): Promise<number> {
      return (await engine.snapshots.stat(chain))?.contentSize ?? 0;
    }
  });
}
