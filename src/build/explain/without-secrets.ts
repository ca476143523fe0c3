import type { SecretWatch } from "../secrets/secret-watch.ts";
import type { Explainer } from "./explainer.ts";
import type { Reason } from "./reason.ts";

/**
 * The same reasons with `****` in the place of every secret: what was a build argument in the last build may be a secret
 * in this one, and reasons say how the last build was.
 */
export function withoutSecrets(
  explainer: Explainer,
  watch: Pick<SecretWatch, "blotOut">,
): Explainer {
  const clean = (_name: string, value: unknown): unknown =>
    typeof value === "string" ? watch.blotOut(Buffer.from(value)).toString("utf8") : value;
  const hide = (reason: Reason): Reason => JSON.parse(JSON.stringify(reason), clean) as Reason;
  return {
    explain: async (vertex) => hide(await explainer.explain(vertex)),
    explainAll: async (vertex) => (await explainer.explainAll(vertex)).map(hide),
    before: (vertex) => explainer.before(vertex),
  };
}
