import { onTestFinished } from "vitest";
import type { Clock } from "../../src/core/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A store in a fresh folder, or in the given one, closed when the test ends. */
export async function withStore(
  options: { readonly root?: string; readonly clock?: Clock } = {},
): Promise<{ readonly root: string; readonly store: Store }> {
  const root = options.root ?? (await temporaryFolder());
  const store = await openStore({ ...options, root });
  onTestFinished(async () => store.close());
  return { root, store };
}
