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

/** The package says "module", and Node's loader for those takes five milliseconds more. */
const commonJs = {
  name: "common-js",
  generateBundle() {
    const source = `${JSON.stringify({ type: "commonjs" })}\n`;
    this.emitFile({ type: "asset", fileName: "package.json", source });
  },
};

const shared = {
  platform: "node",
  // Native and rarely needed packages stay outside and are loaded when a command first needs them.
  external: ["koffi"],
};

const output = {
  dir: "dist",
  format: "cjs",
  minify: false,
  sourcemap: true,
  // Less to read at every start, and in ASCII, of which a string needs one byte a character.
  comments: { legal: true, annotation: false, jsdoc: false },
  charset: "ascii",
  // The scripts are not loaded by Node, and only Node's own know what `import` means in CommonJS.
  dynamicImportInCjs: false,
};

export default defineConfig([
  // A file for the command (start-up time is a feature) and one for people who import the library.
  {
    ...shared,
    input: { cli: "src/cli/main.ts", index: "src/api/index.ts" },
    plugins: [commonJs],
    output: {
      ...output,
      cleanDir: true,
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
  },
  // What Node starts, which loads the others; and what a second thread runs, which is to start soon.
  {
    ...shared,
    input: { start: "src/cli/start/main.ts" },
    treeshake: { moduleSideEffects: false },
    output: { ...output, cleanDir: false },
  },
  {
    ...shared,
    input: { "file-thread": "src/build/file-thread.ts" },
    treeshake: { moduleSideEffects: false },
    output: { ...output, cleanDir: false },
  },
]);
