export type EngineName = "tsbuild" | "docker" | "buildah" | "podman";

/** A command and its arguments. */
export type Argv = readonly string[];

export interface BuildOptions {
  readonly context: string;
  readonly tag: string;
  /** Nothing may come from the engine's cache of steps. */
  readonly fresh: boolean;
}

/** A build whose steps travel through a registry: `cache` is a name there, without a tag. */
export interface CachedBuildOptions extends BuildOptions {
  readonly cache: string;
}

/**
 * One contestant: what to type for a job. All of them use the host's network, print as little as they can, and take
 * names without a registry as names in their own store.
 */
export interface Engine {
  readonly name: EngineName;
  readonly version: string;
  build(options: BuildOptions): Argv;
  /** Builds, and leaves what its steps came to in a registry; absent where there is no such thing. */
  exportCache?(options: CachedBuildOptions): Argv;
  /** Builds with what was left there. */
  importCache?(options: CachedBuildOptions): Argv;
  /** Tells what a build would do, or why, without building; absent where there is no such thing. */
  foretell?(how: "dry-run" | "explain", context: string): Argv;
  /** From an image to the exit of a command in it; pulls what is missing. Absent: not one command there. */
  run?(image: string, command: Argv): Argv;
  push(image: string): Argv;
  /** Until the image's files are there; absent where that is a part of `run`. */
  pull?(image: string): Argv;
  /** Writes an archive that `docker load` takes. */
  save(image: string, file: string): Argv;
  load(file: string): Argv;
  /** Removes a name, and the layers that nothing else holds. */
  remove(image: string): Argv;
  /** What is typed, one after the other, to remove all that no name holds, cached steps included. */
  readonly prune: readonly Argv[];
}
