import { isTsbuildError, parseReference, type Digest } from "../core/index.ts";
import type { RegistryRepository } from "../registry/index.ts";
import { withEngine, type EngineOptions } from "./engine.ts";
import { openRepository } from "./open-repository.ts";
import { apiError, usageError } from "./errors.ts";
import { missingInRegistry } from "./missing-image.ts";
import { parsePlace, type Place } from "./places/parse-place.ts";

export interface RemovedRemote {
  /** As it was written. */
  readonly name: string;
  /** What it stood for. */
  readonly digest: Digest;
}

export interface RemoveRemoteOptions extends EngineOptions {
  /** `docker://NAME`, with a tag or a digest. */
  readonly name: string;
  /** Where a registry cannot remove a tag alone: remove the image with all its tags. */
  readonly force: boolean;
  readonly insecure?: boolean | undefined;
}

/** Tags that are looked at to find out whether an image has others. */
const comparedTags = 1000;

/**
 * Removes a tag in a registry, or an image by its digest with all its tags. Registries that know no removal of tags lose
 * the image instead when it has no other tag.
 * @throws USAGE, IMAGE_NOT_FOUND, REGISTRY_UNSUPPORTED, REGISTRY_*; IMAGE_IN_USE where other tags would go too
 */
export async function removeRemote(options: RemoveRemoteOptions): Promise<RemovedRemote> {
  const place = parsePlace(options.name);
  if (place.type !== "registry") throw notRemote(place);
  const { reference, text } = place;
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const { insecure = false } = options;
    const repository = await openRepository(engine, { reference, access: "push", insecure });
    try {
      const name = text.slice("docker://".length);
      const root = await repository.resolve(name, signal);
      if (root === undefined) throw await missingInRegistry(repository, name, signal);
      const { digest } = root;
      const { tag } = parseReference(name).digest === undefined ? reference : {};
      if (tag === undefined) await repository.deleteManifest(digest, signal);
      else await removeTag(repository, { ...options, tag, digest, signal });
      return { name: text, digest };
    } finally {
      await repository.close();
    }
  });
}

async function removeTag(
  repository: RegistryRepository,
  wanted: {
    readonly tag: string;
    readonly digest: Digest;
    readonly force: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { tag, digest, force, signal } = wanted;
  try {
    return await repository.deleteTag(tag, signal);
  } catch (error) {
    if (!isTsbuildError(error, "REGISTRY_UNSUPPORTED")) throw error;
  }
  const others = force ? [] : await otherTags(repository, { tag, digest, signal });
  if (others.length === 0) return repository.deleteManifest(digest, signal);
  throw apiError(
    "IMAGE_IN_USE",
    `remove the tag ${tag}: the registry can only remove the image with all its tags`,
    {
      hint: `it is ${others.slice(0, 5).join(", ")} too; --force removes them all`,
      details: { digest, tags: others },
    },
  );
}

async function otherTags(
  repository: RegistryRepository,
  {
    tag,
    digest,
    signal,
  }: { readonly tag: string; readonly digest: Digest; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const others: string[] = [];
  for await (const each of repository.listTags({ limit: comparedTags, signal })) {
    if (each === tag) continue;
    if ((await repository.resolve(each, signal))?.digest === digest) others.push(each);
  }
  return others;
}

function notRemote(place: Place): Error {
  return usageError(
    `remove ${place.text}: it is in no registry`,
    "remove files and directories as such; docker://NAME is an image in a registry",
  );
}
