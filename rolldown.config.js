import { resolve } from "node:path";
import { defineConfig } from "rolldown";

const library = resolve(import.meta.dirname, "src/api/index.ts");

/** The library and everything that it imports; what it imports when it is needed only is not among them. */
function reachable(graph) {
  const reached = new Set([library]);
  for (const id of reached) {
    for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) reached.add(imported);
  }
  return reached;
}

let eager;

// A file for the command (start-up time is a feature) and one for people who import the library.
// Native and rarely needed packages stay outside and are loaded when a command first needs them.
export default defineConfig({
  input: { cli: "src/cli/main.ts", index: "src/api/index.ts" },
  platform: "node",
  external: ["koffi"],
  output: {
    dir: "dist",
    format: "esm",
    cleanDir: true,
    minify: false,
    sourcemap: true,
    chunkFileNames: "chunks/[name]-[hash].js",
    // What every command loads lies in one file: a dozen of them cost fifteen milliseconds at start.
    codeSplitting: {
      groups: [
        {
          name: (id, graph) => ((eager ??= reachable(graph)).has(id) ? "library" : null),
          debugName: "library",
        },
      ],
    },
  },
});
