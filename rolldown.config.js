import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "rolldown";
import { parseAst } from "rolldown/parseAst";
import { assembly } from "./src/layer/deflate/assembly/plugin.js";
import { seldomUsed } from "./rolldown.seldom.js";

const library = resolve(import.meta.dirname, "src/api/index.ts");
const seldomFiles = Object.entries(seldomUsed).flatMap(([folder, names]) =>
  names.map((name) => resolve(import.meta.dirname, "src", folder, name)),
);

/** The library and everything that it imports; what it imports when it is needed only is not among them. */
function reachable(graph) {
  const reached = new Set([library]);
  for (const id of reached) {
    for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) reached.add(imported);
  }
  return reached;
}

let eager;

/** Which file of `dist/` a module belongs to; null for one that is loaded on demand anyway. */
function chooseFile(id, graph) {
  if (id === library || !(eager ??= reachable(graph)).has(id)) return null;
  const isSeldom = seldomFiles.some((path) => id === `${path}.ts` || id.startsWith(`${path}/`));
  return isSeldom || id.includes("/node_modules/") ? "seldom" : "library";
}

/**
 * A file asks for the others when it is loaded. For the seldom used one it asks when it first needs something of it, and
 * by then the library is complete, which that one needs in its turn.
 */
const loadSeldom = {
  name: "load-seldom",
  buildStart() {
    const isThere = (path) => existsSync(path) || existsSync(`${path}.ts`);
    for (const path of seldomFiles.filter((path) => !isThere(path))) {
      this.warn(`rolldown.seldom.js names what is not there: ${path}`);
    }
  },
  renderChunk(code, { fileName }) {
    const request = /^const require_seldom = (require\("[^"]+"\));$/m;
    if (!request.test(code)) return null;
    const [tooEarly] = fileName === "index.js" ? [] : membersUsedAtOnce(code, "require_seldom");
    if (tooEarly !== undefined) {
      throw new Error(`${fileName} uses ${tooEarly} while it is loaded: see rolldown.seldom.js`);
    }
    const lazy = code
      .replaceAll(/\brequire_seldom\./g, "require_seldom().")
      .replace(request, "let seldom; const require_seldom = () => (seldom ??= $1);");
    // The lines are where they were.
    return { code: lazy, map: null };
  },
};

/** Members of a variable that are used outside of functions. */
function membersUsedAtOnce(code, variable) {
  const found = [];
  const walk = (node) => {
    if (Array.isArray(node)) return node.forEach(walk);
    if (typeof node?.type !== "string" || isPutOff(node)) return;
    if (node.type === "MemberExpression" && node.object.name === variable) {
      found.push(node.property.name);
    }
    Object.values(node).forEach(walk);
  };
  walk(parseAst(code));
  return found;
}

function isPutOff(node) {
  return /Function/.test(node.type) || (node.type === "PropertyDefinition" && !node.static);
}

/** Node's HTTP/2, TLS and readline take 8 ms to load. undici asks for them at once, and speaks HTTP/2 only where it is told to. */
const withoutHttp2 = {
  name: "without-http2",
  load: {
    filter: { id: /\/undici\/lib\/dispatcher\/client-h2\.js$/ },
    handler: () => "module.exports = () => { throw new Error('HTTP/2 is left out'); };",
  },
};

/** undici's parser is small work, and not worth V8's optimizer: see the file. */
const parserOptimizedLate = {
  name: "parser-optimized-late",
  transform: {
    filter: { id: /\/undici\/lib\/dispatcher\/client-h1\.js$/ },
    handler(code) {
      const compiled = /mod = (new WebAssembly\.Module\(.*\))$/gm;
      if (!compiled.test(code)) throw new Error("undici compiles its parser in another way now");
      const from = resolve(import.meta.dirname, "src/core/http/late-optimizer.ts");
      const changed = code.replace(compiled, "mod = optimizedLate(() => $1)");
      return {
        code: `const { optimizedLate } = require(${JSON.stringify(from)});${changed}`,
        map: null,
      };
    },
  },
};

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
  plugins: [assembly],
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
    plugins: [...shared.plugins, commonJs, loadSeldom, withoutHttp2, parserOptimizedLate],
    // The entry of the library only tells names: the command has no need of that file.
    treeshake: { moduleSideEffects: (id) => id !== library },
    output: {
      ...output,
      cleanDir: true,
      chunkFileNames: "chunks/[name]-[hash].js",
      // What every command loads lies in one file: a dozen of them cost fifteen milliseconds at start.
      codeSplitting: {
        includeDependenciesRecursively: false,
        groups: [{ name: chooseFile, debugName: "library" }],
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
