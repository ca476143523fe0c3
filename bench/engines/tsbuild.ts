import { resolve } from "node:path";
import type { Engine } from "./engine.ts";

const cli = resolve("bin/tsbuild.js");

/** The build of this checkout, with its state in `root`. */
export function tsbuildEngine(root: string, version: string): Engine {
  const tsbuild = [process.execPath, cli, "--root", root];
  return {
    name: "tsbuild",
    version,
    build: ({ context, tag, fresh }) => {
      return [...tsbuild, "build", "-q", ...(fresh ? ["--no-cache"] : []), "-t", tag, context];
    },
    exportCache: ({ context, tag, fresh, cache }) => {
      const to = ["--cache-to", `type=registry,ref=${cache},mode=max`];
      return [
        ...tsbuild,
        "build",
        "-q",
        ...(fresh ? ["--no-cache"] : []),
        ...to,
        "-t",
        tag,
        context,
      ];
    },
    importCache: ({ context, tag, cache }) => {
      return [...tsbuild, "build", "-q", "--cache-from", cache, "-t", tag, context];
    },
    foretell: (how, context) => {
      const verb = how === "explain" ? ["explain"] : ["build", "--dry-run"];
      return [...tsbuild, ...verb, "--progress", "quiet", context];
    },
    run: (image, command) => [...tsbuild, "run", "--rm", image, ...command],
    push: (image) => [...tsbuild, "push", "-q", image],
    save: (image, file) => [...tsbuild, "save", "-o", file, image],
    load: (file) => [...tsbuild, "load", "-q", "-i", file],
    remove: (image) => [...tsbuild, "rmi", image],
    prune: [[...tsbuild, "system", "prune"]],
  };
}
