import { join } from "node:path";
import type { ChainId, Digest, DiffId } from "../../core/index.ts";
import { chainIdOf, extendChain } from "../../core/index.ts";
import type { Plan } from "../../plan/index.ts";
import type { Snapshotter } from "../../snapshot/index.ts";
import type { Store } from "../../store/index.ts";
import type { LayersResult } from "../result.ts";
import type { Solution } from "../solve.ts";
import type { Step, StepLog } from "../steps.ts";
import { describeLeaks, leakError, type Leak } from "./leak.ts";
import { searchLayer } from "./search-layer.ts";
import { searchMembers, searchPlan } from "./search-texts.ts";
import { openSearchedLayers, type SearchedLayers } from "./searched-layers.ts";
import { openSecretSearch, type SecretSearch } from "./secret-search.ts";

/**
 * Sees to it that no secret of a build gets into what it makes: searches the plan before anything runs, each step when it
 * has run, and what came from the cache at the end. What is found fails the build, and the step gets no record. Where leaks
 * are allowed it is told, and its layer is searched again in every build that takes it from the cache.
 */
export interface SecretWatch {
  /** @throws BUILD_SECRET_LEAKED */
  plan(plan: Plan): void;
  /** Names and annotations of the command line. @throws BUILD_SECRET_LEAKED */
  texts(texts: unknown): void;
  /** Listens to the output of a step that is about to run; `name` is what progress shows. */
  step(shown: {
    readonly name: string;
    readonly step: Step;
    readonly signal: AbortSignal;
  }): WatchedStep;
  /** Layers that were taken from the cache. @throws BUILD_SECRET_LEAKED */
  cached(plan: Plan, solution: Solution): Promise<void>;
  /** Remembers which layers are clean. */
  save(): Promise<void>;
  /** The same text with `****` in the place of every secret. */
  blotOut(text: Buffer): Buffer;
}

export interface WatchedStep {
  readonly step: Step;
  /** Searches what it wrote and made. @throws BUILD_SECRET_LEAKED */
  finish(result: LayersResult): Promise<void>;
}

export interface SecretWatchOptions {
  /** Contents by id. */
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Leaks are told, and the build goes on. */
  readonly allowLeaks: boolean;
  /** Told of each state in whose topmost layer a secret was found. */
  readonly onLeaked?: ((chainId: ChainId) => void) | undefined;
  readonly snapshots: Pick<Snapshotter, "diff" | "stat">;
  readonly store: Pick<Store, "root" | "tmpDir">;
  readonly steps: Pick<StepLog, "warn">;
  readonly signal: AbortSignal;
}

export async function openSecretWatch(options: SecretWatchOptions): Promise<SecretWatch> {
  const { secrets, store } = options;
  const search = openSecretSearch(secrets);
  const skipped = new Set(search.skipped.map(({ secret }) => secret));
  const searched = await openSearchedLayers({
    directory: join(store.root, "cache", "searched"),
    tmpDir: store.tmpDir,
    // Not the short ones, which could be guessed: they have no say in what is found.
    secrets: [...secrets].flatMap(([id, secret]) => (skipped.has(id) ? [] : [secret])),
  });
  for (const { secret, why } of search.skipped) {
    options.steps.warn({
      code: "SECRET_NOT_SEARCHED",
      message: `nobody notices when secret ${secret} gets into the image: ${why}`,
      hint: "it would be found where it does not stand for the secret",
    });
  }
  const report = (leaks: readonly Leak[]): void => {
    if (leaks.length === 0) return;
    if (!options.allowLeaks) throw leakError(leaks);
    options.steps.warn({
      code: "SECRET_LEAKED",
      message: describeLeaks(leaks),
      hint: "whoever has the image has the secret: replace it when that was not meant",
    });
  };
  const layers = new LayerSearch(options, { search, searched });
  return {
    plan: (plan) => report(searchPlan(search, plan)),
    texts: (texts) => report(searchMembers(search, texts, "command-line")),
    step: ({ name, step, signal }) => {
      const shown = blotText(search, name);
      const output = listenTo(search, { step, name: shown });
      return {
        step: output.step,
        finish: async ({ chainId }) => {
          const made = { chainId, step: shown, signal };
          const found = chainId === undefined ? [] : await layers.search({ ...made, chainId });
          report([...output.leaks, ...found]);
        },
      };
    },
    cached: async (plan, solution) => {
      const leaks: Leak[] = [];
      for (const [chainId, name] of layersOf(plan, solution)) {
        const made = { chainId, step: blotText(search, name), signal: options.signal };
        leaks.push(...(await layers.searchOnce(made)));
      }
      layers.tellMissing();
      report(leaks);
    },
    save: () => searched.save(),
    blotOut: (text) => search.blotOut(text),
  };
}

interface MadeLayer {
  readonly chainId: ChainId;
  /** Name of the step that made it. */
  readonly step: string;
  readonly signal: AbortSignal;
}

/** Searches layers; those that are clean are remembered. */
class LayerSearch {
  readonly #options: SecretWatchOptions;
  readonly #search: SecretSearch;
  readonly #searched: SearchedLayers;
  /** Those of this build that a leak was told of. */
  readonly #told = new Set<DiffId>();
  #missing = 0;

  constructor(
    options: SecretWatchOptions,
    found: { readonly search: SecretSearch; readonly searched: SearchedLayers },
  ) {
    this.#options = options;
    this.#search = found.search;
    this.#searched = found.searched;
  }

  async search({ chainId, step, signal }: MadeLayer): Promise<readonly Leak[]> {
    const { snapshots } = this.#options;
    const snapshot = await snapshots.stat(chainId);
    if (snapshot === undefined) {
      this.#missing += 1;
      return [];
    }
    const entries = snapshots.diff(chainId);
    const leaks = await searchLayer(this.#search, { entries, step, signal });
    if (leaks.length === 0) this.#searched.add(snapshot.diffId);
    else {
      this.#told.add(snapshot.diffId);
      this.#options.onLeaked?.(chainId);
    }
    return leaks;
  }

  /** Nothing where it was searched before, in this build or another. */
  async searchOnce(made: MadeLayer): Promise<readonly Leak[]> {
    const snapshot = await this.#options.snapshots.stat(made.chainId);
    if (snapshot !== undefined) {
      const { diffId } = snapshot;
      if (this.#searched.has(diffId) || this.#told.has(diffId)) return [];
    }
    return this.search(made);
  }

  /** What a cache elsewhere answers for may not be here at all. */
  tellMissing(): void {
    const count = this.#missing;
    // Another attempt counts anew.
    this.#missing = 0;
    if (count === 0) return;
    const layers = count === 1 ? "one layer" : `${count} layers`;
    this.#options.steps.warn({
      code: "SECRET_SEARCH_INCOMPLETE",
      message: `${layers} of a cache elsewhere could not be searched for secrets: the files are not here`,
      hint: "the build that made them searched them for its own secrets",
    });
  }
}

/** Layers that this build answers for, which are all but those of base images, with the steps that made them. */
function layersOf(plan: Plan, { targets, trace }: Solution): ReadonlyMap<ChainId, string> {
  const layers = new Map<ChainId, string>();
  for (const [index, { history }] of plan.targets.entries()) {
    const own = history.flatMap(({ vertex }) => (vertex === undefined ? [] : [vertex]));
    const diffIds = targets[index]?.diffIds ?? [];
    const above = diffIds.length - own.length;
    let chain = chainIdOf(diffIds.slice(0, above));
    for (const [position, diffId] of diffIds.slice(above).entries()) {
      chain = extendChain(chain, diffId);
      layers.set(chain, plan.vertices[own[position] ?? -1]?.name ?? "a step");
    }
  }
  for (const { outcome, result, name } of trace) {
    if (outcome === "cached" && result !== undefined && result !== "scratch") {
      layers.set(result as Digest as ChainId, name);
    }
  }
  return layers;
}

/** The step, with its output searched on its way. */
function listenTo(
  search: SecretSearch,
  { step, name }: { readonly step: Step; readonly name: string },
): { readonly step: Step; readonly leaks: readonly Leak[] } {
  const leaks: Leak[] = [];
  const streams = { stdout: search.openStream(), stderr: search.openStream() };
  const output: Step["output"] = (stream, bytes) => {
    for (const sighting of streams[stream].push(bytes)) {
      leaks.push({ ...sighting, step: name, place: { type: "output", stream } });
    }
    step.output(stream, bytes);
  };
  return { step: { ...step, output }, leaks };
}

function blotText(search: SecretSearch, text: string): string {
  return search.blotOut(Buffer.from(text)).toString("utf8");
}
