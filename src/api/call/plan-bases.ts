import type { StepLog } from "../../build/index.ts";
import { digestOf, isTsbuildError, type Platform } from "../../core/index.ts";
import type { BaseImage } from "../../plan/index.ts";
import { BaseImages } from "../base-images.ts";
import type { BuildOptions } from "../build/options.ts";
import type { LazyEngine } from "./lazy-engine.ts";

/** Failures that say nothing about the Dockerfile. */
const elsewhere = [
  "REGISTRY_UNREACHABLE",
  "REGISTRY_LIMITED",
  "REGISTRY_FAILED",
  "HTTP_FAILED",
  "HTTP_TIMEOUT",
];

type ResolveRequest = Parameters<BaseImages["resolve"]>[1];

/**
 * Base images for somebody who does not build: the state root is opened only when a Dockerfile has one, and a registry
 * that does not answer is no failure, but a base that nothing is known of.
 */
export class PlanBases implements Pick<BaseImages, "resolve"> {
  readonly #engine: LazyEngine;
  readonly #pull: boolean;
  #bases: BaseImages | undefined;

  constructor(engine: LazyEngine, { pull = false }: Pick<BuildOptions, "pull">) {
    this.#engine = engine;
    this.#pull = pull;
  }

  /** @throws REFERENCE_INVALID, REGISTRY_*, IMAGE_PLATFORM_NOT_FOUND */
  async resolve(...[reference, request]: Parameters<BaseImages["resolve"]>): Promise<BaseImage> {
    const engine = await this.#engine.open();
    const bases = (this.#bases ??= new BaseImages(engine, { pull: this.#pull }));
    try {
      return await engine.store.protect(() => bases.resolve(reference, request));
    } catch (error) {
      if (!elsewhere.some((code) => isTsbuildError(error, code))) throw error;
      tellUnknown(reference, request.steps);
      return unknownBase(reference, request);
    }
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#bases?.close();
  }
}

function tellUnknown(reference: string, steps: StepLog): void {
  steps.warn({
    code: "CHECK_BASE_UNKNOWN",
    message: `nobody answers for the base image ${reference}: what depends on its settings is not checked`,
    hint: "check again when its registry can be reached, or pull the image first",
  });
}

function unknownBase(reference: string, { platform }: ResolveRequest): BaseImage {
  const { os, architecture }: Platform = platform;
  return {
    reference,
    imageId: digestOf(`unknown ${reference}`),
    chainId: undefined,
    config: { os, architecture, diffIds: [], history: [], config: {} },
    isUnknown: true,
  };
}
