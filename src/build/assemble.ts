import { chainIdOf, extendChain, type ChainId } from "../core/index.ts";
import { serializeImageConfig, type HistoryEntry, type ImageConfig } from "../image/index.ts";
import type { PlanTarget } from "../plan/index.ts";
import type { BuildEnvironment } from "./environment.ts";
import type { LayersResult } from "./result.ts";

/**
 * The config document of a solved target: the plan's folded config, the layers that came out, and the history with the
 * time at which each layer was made. An entry without a layer takes the time of the next layer, the last ones that of
 * the last layer, so that a rebuild from the cache gives the same document.
 */
export async function assembleConfig(request: {
  readonly target: PlanTarget;
  readonly result: LayersResult;
  readonly environment: BuildEnvironment;
  /** The one time that everything new has, instead of when it was made. */
  readonly epoch?: Date | undefined;
  /** What else the document is to hold. */
  readonly members?: ImageConfig["members"] | undefined;
}): Promise<Buffer> {
  const { target, result, environment, epoch: fixed, members } = request;
  const own = target.history.filter((entry) => entry.vertex !== undefined).length;
  const baseLayers = result.diffIds.length - own;
  const times = await layerTimes(result, { from: baseLayers, environment });
  const fallback = lastTime(target.baseHistory) ?? result.created;
  const history = datedHistory(target, { times, fallback }).map((entry) =>
    fixed === undefined ? entry : { ...entry, created: fixed.toISOString() },
  );
  const config: ImageConfig = {
    ...target.config,
    created: fixed?.toISOString() ?? history.at(-1)?.created ?? fallback,
    diffIds: result.diffIds,
    history: [...target.baseHistory, ...history],
    ...(members === undefined ? {} : { members }),
  };
  return serializeImageConfig(config);
}

const epoch = new Date(0).toISOString();

async function layerTimes(
  { diffIds, timeOf }: LayersResult,
  range: { readonly from: number; readonly environment: BuildEnvironment },
): Promise<string[]> {
  const { snapshots } = range.environment;
  const chains: ChainId[] = [];
  let chain = chainIdOf(diffIds.slice(0, range.from));
  for (const diffId of diffIds.slice(range.from)) {
    chain = extendChain(chain, diffId);
    chains.push(chain);
  }
  const found = await Promise.all(chains.map((chain) => snapshots.stat(chain)));
  return found.map((snapshot, index) => {
    const chainId = chains[index];
    return snapshot?.created ?? (chainId && timeOf?.(chainId)) ?? epoch;
  });
}

function datedHistory(
  target: PlanTarget,
  dates: { readonly times: readonly string[]; readonly fallback: string },
): HistoryEntry[] {
  let next = 0;
  return target.history.map((entry) => {
    const created = dates.times[next] ?? dates.times.at(-1) ?? dates.fallback;
    const hasLayer = entry.vertex !== undefined;
    if (hasLayer) next++;
    return {
      created,
      createdBy: entry.createdBy,
      comment: "buildkit.dockerfile.v0",
      ...(hasLayer ? {} : { emptyLayer: true }),
    };
  });
}

function lastTime(history: readonly HistoryEntry[]): string | undefined {
  return history.at(-1)?.created;
}
