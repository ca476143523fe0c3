import { join } from "node:path";
import type { BuildEnvironment, StepLog } from "../../build/index.ts";
import { openDirectoryContext, openStatCache, type BuildContext } from "../../context/index.ts";
import { digestHex, digestOf } from "../../core/index.ts";
import type { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";

export async function openEnvironment(
  engine: Engine,
  request: {
    readonly directory: string;
    readonly dockerfile: string;
    readonly bases: BaseImages;
    readonly steps: StepLog;
  },
): Promise<BuildEnvironment> {
  const { store } = engine;
  const statCache = await openStatCache({
    path: join(store.root, "cache", "contexts", digestHex(digestOf(request.directory))),
    tmpDir: store.tmpDir,
  });
  let context: Promise<BuildContext> | undefined;
  const openContext = (): Promise<BuildContext> =>
    (context ??= openDirectoryContext({
      directory: request.directory,
      dockerfile: request.dockerfile,
      statCache,
    }));
  return {
    ...engine,
    statCache,
    steps: request.steps,
    contexts: new Map([["context", openContext]]),
    fetchLayer: (image, descriptor, signal) => request.bases.fetchLayer(image, descriptor, signal),
    implicitTime: 0n,
    hostname: "buildkitsandbox",
  };
}
