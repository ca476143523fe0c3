import { openFileThread, StepLog } from "../build/index.ts";
import { formatPlatform, isTsbuildError, parsePlatform, type Platform } from "../core/index.ts";
import type { LocalImage } from "../local/index.ts";
import { run, type RunResult } from "../runtime/index.ts";
import { BaseImages, isFor } from "./base-images.ts";
import { containersOf, withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { apiError } from "./errors.ts";
import { normaliseName } from "./images.ts";

export interface RunContainerOptions extends EngineOptions {
  /** Name or ID; a name that is not here is pulled. */
  readonly image: string;
  readonly command: readonly string[];
  readonly remove: boolean;
  readonly interactive: boolean;
  readonly env: readonly string[];
  readonly volumes: readonly string[];
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly entrypoint?: string | undefined;
  readonly hostname?: string | undefined;
  readonly network: "default" | "host" | "none";
  readonly platform?: string | undefined;
  /** Called when the process is being started, with a way to pass signals on to it. */
  readonly onStart?: ((command: { signal(name: NodeJS.Signals): void }) => void) | undefined;
}

/**
 * Runs a container in the foreground on our own standard streams.
 * @throws RUNTIME_*, SANDBOX_*, REGISTRY_*; see `runFailureExitCode`
 */
export async function runContainer(options: RunContainerOptions): Promise<RunResult> {
  return withEngine(options, async (engine) => {
    const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
    const { image, bases } = await findOrPull(engine, { name: options.image, platform });
    const thread = openFileThread();
    const chainId = await engine.images
      .ensureUnpacked(image, { fetchLayer: bases.layersOf(image), thread, signal: engine.signal })
      .finally(() => thread?.close());
    const { env, workdir, user, entrypoint, hostname, command } = options;
    return run(
      {
        image: { id: image.id, name: options.image, chainId, config: image.config.config },
        process: { command, entrypoint, env, workdir, user },
        volumes: options.volumes,
        network: options.network === "none" ? "none" : "host",
        hostname,
        remove: options.remove,
        interactive: options.interactive,
        callerEnv: process.env,
        onStart: options.onStart,
      },
      {
        containers: containersOf(engine).containers,
        tmpDir: engine.store.tmpDir,
        snapshots: engine.snapshots,
        sandbox: await engine.sandbox(),
        clock: engine.clock,
        signal: engine.signal,
      },
    );
  });
}

async function findOrPull(
  engine: Engine,
  wanted: { readonly name: string; readonly platform: Platform | undefined },
): Promise<{ readonly image: LocalImage; readonly bases: BaseImages }> {
  const bases = new BaseImages(engine, { pull: false });
  const { platform } = wanted;
  const here = await engine.images.find(wanted.name, platform);
  if (here !== undefined && (platform === undefined || isFor(here, platform))) {
    return { image: here, bases };
  }
  const name = normaliseName(wanted.name);
  const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
  const fetch = steps.run(`pulling ${name}, which is not here`, () =>
    bases.fetchImage(name, platform),
  );
  const image = await fetch.catch((error: unknown) => {
    // That the registry does not help either is no news to whoever has the image.
    if (here === undefined || platform === undefined) throw error;
    throw otherPlatform(name, { image: here, platform, cause: error });
  });
  if (platform === undefined || isFor(image, platform)) return { image, bases };
  throw otherPlatform(name, { image, platform });
}

function otherPlatform(
  name: string,
  found: { readonly image: LocalImage; readonly platform: Platform; readonly cause?: unknown },
): Error {
  const { os, architecture } = found.image.config;
  const wanted = formatPlatform(found.platform);
  return apiError("IMAGE_NOT_FOUND", `find ${wanted} in image ${name}`, {
    hint: `it is made for ${os}/${architecture}`,
    details: { image: name, platform: wanted },
    cause: found.cause,
  });
}

/** docker's exit codes for a container that did not start: 127 not found, 126 not executable, 125 everything else. */
export function runFailureExitCode(error: unknown): number {
  if (!isTsbuildError(error)) return 125;
  const { exitCode } = error.details;
  return typeof exitCode === "number" ? exitCode : 125;
}
