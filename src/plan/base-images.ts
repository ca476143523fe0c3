import { formatPlatform, locateError, type Platform } from "../core/index.ts";
import type { ImageBase, StageNode } from "./stage-graph.ts";
import type { BaseImage, PlanOptions } from "./types.ts";

/** Asks for every base image once, however many stages and platforms need it; lookups run at the same time. */
export class BaseImages {
  readonly #resolve: PlanOptions["resolveBase"];
  readonly #lookups = new Map<string, Promise<BaseImage>>();
  readonly #found = new Map<StageNode, BaseImage>();

  constructor(resolve: PlanOptions["resolveBase"]) {
    this.#resolve = resolve;
  }

  /** @throws whatever the lookup throws, located at the FROM or --from that names the image */
  async load(stages: Iterable<StageNode>, platform: Platform): Promise<void> {
    const missing = [...stages].filter((stage) => !this.#found.has(stage));
    await Promise.all(
      missing.map(async (stage) => {
        if (stage.base.kind !== "image") return;
        const lookup = this.#lookup(stage.base, stage.platform ?? platform, stage);
        this.#found.set(
          stage,
          await lookup.catch((error: unknown) => Promise.reject(located(error, stage))),
        );
      }),
    );
  }

  /** A base that has been loaded. */
  of(stage: StageNode): BaseImage | undefined {
    return this.#found.get(stage);
  }

  #lookup(base: ImageBase, platform: Platform, { location }: StageNode): Promise<BaseImage> {
    const { reference, layout } = base;
    const key = JSON.stringify([reference, formatPlatform(platform), layout]);
    const known = this.#lookups.get(key);
    if (known !== undefined) return known;
    const lookup =
      layout === undefined
        ? this.#resolve(reference, platform, location)
        : this.#resolve(reference, platform, location, layout);
    this.#lookups.set(key, lookup);
    return lookup;
  }
}

function located(error: unknown, { location }: StageNode): Error {
  const told = locateError(error, location);
  return told instanceof Error ? told : new Error(String(told));
}
