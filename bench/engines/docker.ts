import type { Engine } from "./engine.ts";
import { inTurn } from "./in-turn.ts";

/** The daemon that `docker info` reaches; `docker` is the client. */
export function dockerEngine(docker: string, version: string): Engine {
  return {
    name: "docker",
    version,
    build: ({ context, tag, fresh }) => {
      const cache = fresh ? ["--no-cache"] : [];
      return [docker, "build", "-q", "--network", "host", ...cache, "-t", tag, context];
    },
    // Of the forms of a cache, its own driver writes the one inside of an image alone.
    exportCache: ({ context, fresh, cache }) =>
      inTurn(
        [
          ...[docker, "build", "-q", "--network", "host", ...(fresh ? ["--no-cache"] : [])],
          ...["--build-arg", "BUILDKIT_INLINE_CACHE=1", "-t", cache, context],
        ],
        [docker, "push", "-q", cache],
      ),
    importCache: ({ context, tag, cache }) => [
      ...[docker, "build", "-q", "--network", "host", "--cache-from", cache, "-t", tag, context],
    ],
    run: (image, command) => [
      ...[docker, "run", "--rm", "--quiet", "--network", "host", image],
      ...command,
    ],
    push: (image) => [docker, "push", "-q", image],
    pull: (image) => [docker, "pull", "-q", image],
    save: (image, file) => [docker, "save", "-o", file, image],
    load: (file) => [docker, "load", "-q", "-i", file],
    remove: (image) => [docker, "rmi", "--force", image],
    prune: [
      [docker, "builder", "prune", "--all", "--force"],
      [docker, "image", "prune", "--force"],
    ],
  };
}
