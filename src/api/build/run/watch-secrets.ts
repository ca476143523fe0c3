import { openSecretWatch, type SecretWatch } from "../../../build/index.ts";
import type { Engine } from "../../engine.ts";
import type { GivenSecrets } from "./secrets.ts";

/** Keeps the secrets of a build out of what it makes; undefined when none of them has any content. */
export async function watchSecrets(
  secrets: GivenSecrets,
  request: { readonly engine: Engine } & Pick<
    Parameters<typeof openSecretWatch>[0],
    "steps" | "allowLeaks" | "onLeaked"
  >,
): Promise<SecretWatch | undefined> {
  const { engine, ...rest } = request;
  const contents = new Map<string, Buffer>();
  for (const id of secrets.ids) {
    // Whoever wants one that cannot be read is told so.
    const content = await secrets.read(id).catch(() => undefined);
    if (content !== undefined) contents.set(id, content);
  }
  if (contents.size === 0) return undefined;
  return openSecretWatch({ ...engine, ...rest, secrets: contents });
}
