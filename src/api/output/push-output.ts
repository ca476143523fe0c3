import {
  formatRepository,
  parseReference,
  shortDigest,
  type LayerCompression,
} from "../../core/index.ts";
import type { StepLog } from "../../build/index.ts";
import { copyGraph, type CopyProgress, type Descriptor } from "../../image/index.ts";
import type { ImageGroup } from "../../local/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { familiar, fetching } from "./archive-output.ts";

export interface PushRequest {
  readonly engine: Engine;
  readonly group: ImageGroup;
  /** Full names; each tells its registry. */
  readonly names: readonly string[];
  readonly steps: StepLog;
  readonly form?: {
    readonly compression?: LayerCompression;
    readonly compressionLevel?: number;
    readonly forceCompression?: boolean;
    readonly dockerTypes?: boolean;
  };
  /** The content without a tag. */
  readonly byDigest?: boolean;
  readonly insecure?: boolean;
}

/**
 * Sends images to the registries of their names: what stands there for a tag afterwards is returned.
 * @throws REGISTRY_*, LOCAL_*
 */
export async function pushGroup(request: PushRequest): Promise<Descriptor> {
  const { engine, group, names, steps, form = {} } = request;
  const { signal } = engine;
  const bases = new BaseImages(engine, { pull: false });
  const { compression = "gzip", compressionLevel, forceCompression, dockerTypes } = form;
  try {
    const exported = await steps.run("compressing layers", () =>
      engine.images.exportGroup(group, {
        compression,
        reuse: forceCompression !== true,
        ...(compressionLevel === undefined ? {} : { compressionLevel }),
        ...(dockerTypes === true ? { dockerTypes } : {}),
        ...fetching(group, bases),
        signal,
      }),
    );
    for (const name of names) await pushName(name, { ...request, exported });
    return exported.root;
  } finally {
    await bases.close();
  }
}

async function pushName(
  name: string,
  request: PushRequest & {
    readonly exported: Awaited<ReturnType<Engine["images"]["exportGroup"]>>;
  },
): Promise<void> {
  const { engine, steps, byDigest = false, insecure = false } = request;
  const { root, source } = request.exported;
  const { signal } = engine;
  const { openRegistry } = await import("../../registry/index.ts");
  const reference = parseReference(name);
  const repository = openRegistry({ reference, access: "push", insecure });
  const shown = byDigest
    ? `${formatRepository(reference)}@${root.digest}`
    : familiar([name]).join();
  try {
    await steps.run(`pushing ${shown}`, async (step) => {
      await copyGraph({
        source,
        sink: repository,
        root,
        signal,
        onProgress: (progress) => step.progress(describe(progress)),
      });
      if (!byDigest) await repository.tag(name, root, signal);
    });
  } finally {
    await repository.close();
  }
}

/** A piece of content on its way, as a step shows it. */
export function describe(progress: CopyProgress): {
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
