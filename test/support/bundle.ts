import { createHash } from "node:crypto";
import { rename } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { rolldown } from "rolldown";
import { assembly } from "../../src/layer/deflate/assembly/plugin.js";

const folder = resolve(import.meta.dirname, "../../node_modules/.cache/test-bundles");
const bundles = new Map<string, Promise<string>>();

/**
 * Path of a JavaScript file that runs the TypeScript program `entry` (absolute path) in a process of its own, made
 * once per test process. It lies below node_modules, so that koffi is found.
 */
export async function bundleForNode(entry: string): Promise<string> {
  const made = bundles.get(entry) ?? makeBundle(entry);
  bundles.set(entry, made);
  return made;
}

async function makeBundle(entry: string): Promise<string> {
  const hash = createHash("sha256").update(entry).digest("hex").slice(0, 8);
  const file = join(folder, `${basename(entry, ".ts")}-${hash}.mjs`);
  const temporary = join(folder, `${hash}-${String(process.pid)}.mjs`);
  const bundle = await rolldown({
    input: entry,
    platform: "node",
    external: ["koffi"],
    plugins: [assembly],
  });
  await bundle.write({ file: temporary, format: "esm", codeSplitting: false });
  await bundle.close();
  // Other test processes may be about to start it.
  await rename(temporary, file);
  return file;
}
