import { join } from "node:path";
import { isTsbuildError, parsePlatform, type Platform } from "../core/index.ts";
import type { LocalImage } from "../local/index.ts";
import { run, type RunResult } from "../runtime/index.ts";
import { BaseImages } from "./base-images.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
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
    const chainId = await engine.images.ensureUnpacked(image, {
      fetchLayer: bases.layersOf(image),
      signal: engine.signal,
    });
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
        containers: join(engine.store.root, "containers"),
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
  const image = await engine.images.find(wanted.name, wanted.platform);
  if (image !== undefined) return { image, bases };
  const name = normaliseName(wanted.name);
  return { image: await bases.fetchImage(name, wanted.platform), bases };
}

/** docker's exit codes for a container that did not start: 127 not found, 126 not executable, 125 everything else. */
export function runFailureExitCode(error: unknown): number {
  if (!isTsbuildError(error)) return 125;
  const { exitCode } = error.details;
  return typeof exitCode === "number" ? exitCode : 125;
}
