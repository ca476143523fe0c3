import { PathIndex } from "../../src/context/path-index.ts";
import type { StatCache } from "../../src/context/index.ts";

/** A stat cache that remembers nothing. */
export function noStatCache(): StatCache {
  const nothing = { get: () => undefined, set: () => undefined };
  return {
    ...nothing,
    rows: { ...nothing, paths: new PathIndex() },
    save: () => Promise.resolve(),
  };
}
