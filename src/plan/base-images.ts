import {
  formatPlatform,
  isTsbuildError,
  locateError,
  TsbuildError,
  type Platform,
} from "../core/index.ts";
import { suggest } from "../dockerfile/index.ts";
import type { ImageBase, StageNode } from "./stage-graph.ts";
import type { BaseImage, PlanOptions } from "./types.ts";

/** Asks for every base image once, however many stages and platforms need it; lookups run at the same time. */
export class BaseImages {
  readonly #resolve: PlanOptions["resolveBase"];
  readonly #stageNames: readonly string[];
  readonly #lookups = new Map<string, Promise<BaseImage>>();
  readonly #found = new Map<StageNode, BaseImage>();

  /** `stageNames` are what a name that is no image may have meant. */
  constructor(resolve: PlanOptions["resolveBase"], stageNames: readonly string[]) {
    this.#resolve = resolve;
    this.#stageNames = stageNames;
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
          await lookup.catch((error: unknown) => Promise.reject(this.#told(error, stage))),
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

  #told(error: unknown, { location, base }: StageNode): Error {
    const told = locateError(error, location);
    if (!isTsbuildError(told)) return told instanceof Error ? told : new Error(String(told));
    const { code, message, hint, details, cause } = told;
    if (base.kind !== "image" || base.written === undefined || code === "CANCELED") return told;
    const near = suggest(base.written, this.#stageNames);
    return new TsbuildError({
      code,
      message,
      hint: near === undefined ? hint : `did you mean the stage ${near}?`,
      location: told.location,
      details: { ...details, word: base.written },
      cause,
    });
  }
}
