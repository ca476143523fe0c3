export type EngineName = "tsbuild" | "docker" | "buildah" | "podman";

/** A command and its arguments. */
export type Argv = readonly string[];

export interface BuildOptions {
  readonly context: string;
  readonly tag: string;
  /** Nothing may come from the engine's cache of steps. */
  readonly fresh: boolean;
}

/**
 * One contestant: what to type for a job. All of them use the host's network, print as little as they can, and take
 * names without a registry as names in their own store.
 */
export interface Engine {
  readonly name: EngineName;
  readonly version: string;
  build(options: BuildOptions): Argv;
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
