import { StepLog } from "../build/index.ts";
import {
  familiarReference,
  hostPlatform,
  parsePlatform,
  parseReference,
  shortDigest,
  type Digest,
} from "../core/index.ts";
import { copyGraph, type CopyProgress } from "../image/index.ts";
import { BaseImages } from "./base-images.ts";
import { withEngine, type EngineOptions } from "./engine.ts";
import { apiError } from "./errors.ts";
import { findImage, normaliseName } from "./images.ts";

export interface PulledImage {
  /** Full name. */
  readonly name: string;
  /** Of the manifest or index that the name stands for. */
  readonly digest: Digest;
}

/** Fetches an image with all its layers for one platform. @throws REGISTRY_*, IMAGE_* */
export async function pullImage(
  options: EngineOptions & { readonly name: string; readonly platform?: string | undefined },
): Promise<PulledImage> {
  const name = normaliseName(options.name);
  const platform =
    options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const { openRegistry } = await import("../registry/index.ts");
    const repository = openRegistry({ reference: parseReference(name), access: "pull" });
    try {
      const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
      const root = await repository.resolve(name, signal);
      if (root === undefined) {
        throw apiError("IMAGE_NOT_FOUND", `find image ${name} in its registry`, {
          hint: "check the name and the tag",
          details: { image: name },
        });
      }
      const sink = engine.images.sink({ fromRegistry: true });
      await steps.run(`pulling ${familiarReference(parseReference(name))}`, async (step) => {
        const copied = await copyGraph({
          source: repository,
          sink,
          root,
          platform,
          keepIndex: true,
          signal,
          onProgress: (progress) => step.progress(describe(progress)),
        });
        await sink.tag(name, copied.root, signal);
      });
      return { name, digest: root.digest };
    } finally {
      await repository.close();
    }
  });
}

export interface PushedImage {
  /** Full name. */
  readonly name: string;
  readonly tag: string;
  readonly digest: Digest;
  /** Bytes of the manifest. */
  readonly size: number;
}

/** Sends an image to the registry that its name tells. @throws IMAGE_NOT_FOUND, REGISTRY_* */
export async function pushImage(
  options: EngineOptions & { readonly name: string },
): Promise<PushedImage> {
  const name = normaliseName(options.name);
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const image = await findImage(engine, name);
    const bases = new BaseImages(engine, { pull: false });
    const { openRegistry } = await import("../registry/index.ts");
    const repository = openRegistry({ reference: parseReference(name), access: "push" });
    try {
      const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
      const { root, source } = await steps.run("compressing layers", () =>
        engine.images.exportImage(image, {
          compression: "gzip",
          reuse: true,
          fetchLayer: bases.layersOf(image),
          signal,
        }),
      );
      await steps.run(`pushing ${familiarReference(parseReference(name))}`, async (step) => {
        await copyGraph({
          source,
          sink: repository,
          root,
          signal,
          onProgress: (progress) => step.progress(describe(progress)),
        });
        await repository.tag(name, root, signal);
      });
      const { tag = "latest" } = parseReference(name);
      return { name, tag, digest: root.digest, size: root.size };
    } finally {
      await bases.close();
      await repository.close();
    }
  });
}

function describe(progress: CopyProgress): {
  readonly item: string;
  readonly current: number;
  readonly total: number;
  readonly unit: "bytes";
  readonly done: boolean;
} {
  const { descriptor, current, done } = progress;
  return {
    item: shortDigest(descriptor.digest),
    current,
    total: descriptor.size,
    unit: "bytes",
    done,
  };
}
