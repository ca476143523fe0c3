import { isTsbuildError, TsbuildError, type ChainId } from "../../core/index.ts";
import { removeStates } from "../../local/index.ts";
import type { EngineOptions } from "../engine.ts";
import { withoutProtection } from "../free-space.ts";
import { rootsOf } from "../gc-roots.ts";

/**
 * Removes the layers of a build that ended because secrets were in them. Returns its error, which tells then what is left.
 * To be called when the build protects nothing any more.
 */
export async function removeLeaked(
  error: unknown,
  { leaked, options }: { readonly leaked: ReadonlySet<ChainId>; readonly options: EngineOptions },
): Promise<unknown> {
  if (!isTsbuildError(error, "BUILD_SECRET_LEAKED") || leaked.size === 0) return error;
  const told = await withoutProtection(options, async (engine) => {
    const { store, snapshots, signal } = engine;
    const roots = (): ReturnType<typeof rootsOf> => rootsOf(engine);
    const left = await removeStates(leaked, { store, snapshots, roots, signal });
    return describeLeft(left, store.root);
  }).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return `what the step made could not be removed (${reason}): \`tsbuild builder prune\` removes it`;
  });
  return new TsbuildError({
    code: error.code,
    message: error.message,
    hint: `${error.hint ?? ""}\n${told}`,
    location: error.location,
    details: error.details,
    cause: error.cause,
  });
}

function describeLeft(left: Awaited<ReturnType<typeof removeStates>>, root: string): string {
  if (left === "deferred") {
    return `another tsbuild process is at work, so what the step made is still in ${root}: \`tsbuild builder prune\` removes it later`;
  }
  return left.length === 0
    ? "what the step made was removed"
    : `what the step made is still in ${root}, because the build cache or images need it: \`tsbuild rmi\` and \`tsbuild builder prune --all\` remove it`;
}
