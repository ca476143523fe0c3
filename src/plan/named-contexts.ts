import {
  familiarReference,
  isTsbuildError,
  parseReference,
  withDefaultTag,
} from "../core/index.ts";
import type { NamedContext, PlanOptions } from "./types.ts";

/** Names that stand for themselves whatever `--build-context` says. */
const fixedNames = new Set(["scratch", "context"]);

/**
 * The name under which a context is known: `docker.io/library/alpine:latest` and `alpine` are one, `alpine:3.20` is
 * another.
 * @throws REFERENCE_INVALID
 */
export function contextName(text: string): string {
  return familiarReference(withDefaultTag(parseReference(text))).replace(/:latest$/, "");
}

/** What `--build-context` puts in the place of a stage or an image of this name. */
export function findNamedContext(
  text: string,
  { namedContexts }: Pick<PlanOptions, "namedContexts">,
): { readonly name: string; readonly context: NamedContext } | undefined {
  if (namedContexts === undefined || namedContexts.size === 0) return undefined;
  if (fixedNames.has(text.toLowerCase())) return undefined;
  const name = nameOrNothing(text);
  const context = name === undefined ? undefined : namedContexts.get(name);
  return name === undefined || context === undefined ? undefined : { name, context };
}

/** A name that cannot be an image's cannot be a context's. */
function nameOrNothing(text: string): string | undefined {
  try {
    return contextName(text);
  } catch (error) {
    if (isTsbuildError(error, "REFERENCE_INVALID")) return undefined;
    throw error;
  }
}
