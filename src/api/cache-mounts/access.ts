import { usageError } from "../errors.ts";

/**
 * What builds of this process may do to the cache mounts of the state root, and whether these leave the machine.
 *
 * - `read-write`: steps use the caches themselves;
 * - `read-only`: each build works on copies that go with it, and nothing is exported. For jobs whose changes nobody has
 *   looked at, such as those of pull requests.
 */
export type CacheMountAccess = "read-write" | "read-only";

export const cacheMountSetting = "TSBUILD_CACHE_MOUNTS";

/** What the environment says; `read-write` where it says nothing. @throws USAGE */
export function cacheMountAccess(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): CacheMountAccess {
  const text = environment[cacheMountSetting] ?? "";
  if (text === "" || text === "read-write") return "read-write";
  if (text === "read-only") return "read-only";
  throw usageError(
    `read ${cacheMountSetting}: ${JSON.stringify(text)} is not known`,
    "write read-only or read-write",
  );
}
