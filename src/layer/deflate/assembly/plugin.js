import { execFile as execFileCallback } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const execFile = promisify(execFileCallback);

const repository = resolve(import.meta.dirname, "../../../..");
const compiler = join(repository, "node_modules/assemblyscript/bin/asc.js");
const cache = join(repository, "node_modules/.cache/assembly");
const query = "?wasm";

/**
 * `import program from "./FOLDER/index.ts?wasm"` gives the AssemblyScript there, compiled to WebAssembly, in base64. For
 * whatever bundles or loads what is in `src/`: rolldown and vitest.
 */
export const assembly = {
  name: "assembly",
  resolveId: (id, importer) =>
    id.endsWith(query) && importer !== undefined ? resolve(dirname(importer), id) : null,
  async load(id) {
    if (!id.endsWith(query)) return null;
    const bytes = await compile(id.slice(0, -query.length));
    return `export default ${JSON.stringify(bytes.toString("base64"))};`;
  },
};

/** Kept by what it is made of: the compiler takes three seconds. */
async function compile(entry) {
  const file = join(cache, `${digestOf(dirname(entry))}.wasm`);
  try {
    return readFileSync(file);
  } catch {
    mkdirSync(cache, { recursive: true });
    // Test processes may do it at the same time.
    const temporary = join(cache, randomUUID());
    await runCompiler(entry, temporary);
    renameSync(temporary, file);
    return readFileSync(file);
  }
}

/** Of the program, of this file and of the compiler's version. */
function digestOf(folder) {
  const names = readdirSync(folder).sort();
  const files = [...names.map((name) => join(folder, name)), join(repository, "package-lock.json")];
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

/** In a process of its own: what loads the settings of Vite may import nothing any more by the time that they are used. */
async function runCompiler(entry, file) {
  // Nothing of a runtime: memory is laid out by hand, and what would need one does not compile.
  const flags = ["-O3", "--noAssert", "--runtime", "stub", "--initialMemory", "40"];
  const words = [compiler, basename(entry), "--outFile", file, ...flags];
  await execFile(process.execPath, words, { cwd: dirname(entry) });
}
