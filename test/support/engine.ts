import { setMaxListeners } from "node:events";
import { onTestFinished } from "vitest";
import { openEngine, type Engine } from "../../src/api/engine.ts";

/** The engine of a state root in a folder, until the test ends. */
export async function openTestEngine(root: string): Promise<Engine> {
  const { signal } = new AbortController();
  // Tests do with one engine what twenty processes do.
  setMaxListeners(0, signal);
  const engine = await openEngine({ root, signal });
  onTestFinished(() => engine.store.close());
  return engine;
}
