import {
  explainSystemError,
  parseReference,
  systemClock,
  type ProgressListener,
} from "../core/index.ts";
import type { RegistryRepository } from "../registry/index.ts";
import { usageError } from "./errors.ts";
import { openRepository } from "./open-repository.ts";

export interface ListTagsOptions {
  /** A repository, with or without `docker://`. */
  readonly repository: string;
  /** At most so many. */
  readonly limit?: number | undefined;
  /** Only tags behind this one, in the registry's order. */
  readonly last?: string | undefined;
  readonly insecure?: boolean | undefined;
  /** Told what the registry wants people to read. */
  readonly progress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tags of a repository in a registry, in its order, as they come in.
 * @throws USAGE, REFERENCE_INVALID, REGISTRY_*
 */
export async function* listTags(options: ListTagsOptions): AsyncGenerator<string, void, undefined> {
  const { limit, last, insecure, progress = () => undefined, signal } = options;
  const reference = parseReference(options.repository.replace(/^docker:\/\//, ""));
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw usageError(
      `list the tags of ${options.repository}: it names one image`,
      "leave the tag or digest out",
    );
  }
  const repository = await openRepository(
    { progress, clock: systemClock },
    { reference, access: "pull", insecure },
  );
  try {
    if (last === undefined) yield* repository.listTags({ limit, signal });
    else yield* await listBehind(repository, { last, limit, signal });
  } catch (error) {
    throw explainSystemError(error);
  } finally {
    await repository.close();
  }
}

/** Registries of old ignore what a page is to begin behind; that shows by a tag that does not come behind it. */
async function listBehind(
  repository: RegistryRepository,
  page: {
    readonly last: string;
    readonly limit: number | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly string[]> {
  const { last, limit, signal } = page;
  const tags = await collect(repository.listTags(page));
  if (tags.every((tag) => tag > last)) return tags;
  const all = await collect(repository.listTags({ signal }));
  const at = all.indexOf(last);
  const behind = at < 0 ? all.filter((tag) => tag > last) : all.slice(at + 1);
  return behind.slice(0, limit);
}

async function collect(tags: AsyncIterable<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const tag of tags) found.push(tag);
  return found;
}
