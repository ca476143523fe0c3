import { resolve } from "node:path";
import { defaultRoot } from "../../api/index.ts";

/**
 * The state root that this command line most likely means, found without knowing the flags of any command. Only the
 * code cache depends on it, so a flag of a container's program that is taken for ours does no harm. undefined where the
 * name is empty, which is no root.
 */
export function findRoot(args: readonly string[]): string | undefined {
  const at = args.findIndex((word) => word === "--root" || word.startsWith("--root="));
  const word = args[at];
  const given = word === "--root" ? args[at + 1] : word?.slice("--root=".length);
  return given === "" ? undefined : resolve(given ?? defaultRoot());
}
