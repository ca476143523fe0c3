import { parseReference } from "../core/index.ts";
import { explainSystemError } from "../core/index.ts";
import { usageError } from "./errors.ts";

export interface ListTagsOptions {
  /** A repository, with or without `docker://`. */
  readonly repository: string;
  /** At most so many. */
  readonly limit?: number | undefined;
  /** Only tags behind this one, in the registry's order. */
  readonly last?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tags of a repository in a registry, in its order, as they come in.
 * @throws USAGE, REFERENCE_INVALID, REGISTRY_*
 */
export async function* listTags(options: ListTagsOptions): AsyncGenerator<string, void, undefined> {
  const { limit = Infinity, last, insecure = false, signal } = options;
  const reference = parseReference(options.repository.replace(/^docker:\/\//, ""));
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw usageError(
      `list the tags of ${options.repository}: it names one image`,
      "leave the tag or digest out",
    );
  }
  const { openRegistry } = await import("../registry/index.ts");
  const repository = openRegistry({ reference, access: "pull", insecure });
  try {
    let count = 0;
    if (limit <= 0) return;
    let isBehind = last === undefined;
    for await (const tag of repository.listTags({ signal })) {
      if (isBehind) {
        yield tag;
        if (++count >= limit) return;
      } else isBehind = tag === last;
    }
  } catch (error) {
    throw explainSystemError(error);
  } finally {
    await repository.close();
  }
}
