import { basename, join, resolve } from "node:path";
import { rolldown } from "rolldown";
import { assembly } from "../../src/layer/deflate/assembly/plugin.js";

const repository = resolve(import.meta.dirname, "../..");

/**
 * Bundles a TypeScript file, named from test/support/ without its ending, into one module that a child `node` can run, and answers its path. It lies
 * below node_modules/ so that packages left outside of the bundle are found.
 */
export async function bundleScript(name: string): Promise<string> {
  const file = join(
    repository,
    "node_modules/.cache/tsbuild-test",
    `${basename(name)}-${process.pid}.mjs`,
  );
  const bundle = await rolldown({
    input: join(import.meta.dirname, `${name}.ts`),
    platform: "node",
    external: ["koffi"],
    plugins: [assembly],
    logLevel: "silent",
  });
  await bundle.write({ file, format: "esm", codeSplitting: false });
  await bundle.close();
  return file;
}
