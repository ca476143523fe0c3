import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { rolldown } from "rolldown";

const folder = resolve(import.meta.dirname, "../../node_modules/.cache/test-bundles");
const bundles = new Map<string, Promise<string>>();

/**
 * Path of a JavaScript file that runs the TypeScript program `entry` (absolute path) in a process of its own, made
 * once per test process and removed when that ends. It lies below node_modules, so that koffi is found.
 */
export async function bundleForNode(entry: string): Promise<string> {
  const made = bundles.get(entry) ?? makeBundle(entry);
  bundles.set(entry, made);
  return made;
}

async function makeBundle(entry: string): Promise<string> {
  const hash = createHash("sha256").update(entry).digest("hex").slice(0, 8);
  const name = `${basename(entry, ".ts")}-${hash}-${String(process.pid)}.mjs`;
  const file = join(folder, name);
  const bundle = await rolldown({ input: entry, platform: "node", external: ["koffi"] });
  await bundle.write({ file, format: "esm", codeSplitting: false });
  await bundle.close();
  process.once("exit", () => rmSync(file, { force: true }));
  return file;
}
