import { StepLog } from "../build/index.ts";
import { createLimiter, isTsbuildError, parseReference, type Digest } from "../core/index.ts";
import type { RegistryRepository } from "../registry/index.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { apiError, usageError } from "./errors.ts";
import { openRemoteImage } from "./open-repository.ts";
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

/** Tags that are looked at to find out whether an image has others, so many at a time. */
const comparedTags = 1000;
const comparedAtOnce = 4;

/**
 * Removes a tag in a registry, or an image by its digest with all its tags, which a warning then names. Registries that
 * know no removal of tags lose the image instead when it has no other tag.
 * @throws USAGE, IMAGE_NOT_FOUND, REGISTRY_UNSUPPORTED, REGISTRY_*; IMAGE_IN_USE where other tags would go too
 */
export async function removeRemote(options: RemoveRemoteOptions): Promise<RemovedRemote> {
  const place = parsePlace(options.name);
  if (place.type !== "registry") throw notRemote(place);
  const { reference, text } = place;
  return withEngine(options, async (engine) => {
    const { signal } = engine;
    const { insecure } = options;
    const name = text.slice("docker://".length);
    const { repository, root } = await openRemoteImage(engine, { name, access: "push", insecure });
    try {
      const { digest } = root;
      const { tag } = parseReference(name).digest === undefined ? reference : {};
      if (tag === undefined) await removeImage(repository, { ...options, text, digest, engine });
      else await removeTag(repository, { ...options, text, tag, digest, signal });
      return { name: text, digest };
    } finally {
      await repository.close();
    }
  });
}

async function removeImage(
  repository: RegistryRepository,
  wanted: {
    readonly text: string;
    readonly digest: Digest;
    readonly force: boolean;
    readonly engine: Engine;
  },
): Promise<void> {
  const { text, digest, force, engine } = wanted;
  const { signal, progress, clock } = engine;
  // They are only told: a registry that lists no tags removes images all the same.
  const tags = force ? [] : await tagsOf(repository, { digest, signal }).catch(none);
  await repository.deleteManifest(digest, signal);
  if (tags.length === 0) return;
  const steps = new StepLog({ listener: progress, clock });
  steps.warn({
    code: "TAGS_REMOVED",
    message: `${text} was ${tags.join(", ")} too: a registry removes an image with all its tags`,
  });
}

function none(failure: unknown): readonly string[] {
  if (isTsbuildError(failure, "CANCELED")) throw failure;
  return [];
}

async function removeTag(
  repository: RegistryRepository,
  wanted: {
    readonly text: string;
    readonly tag: string;
    readonly digest: Digest;
    readonly force: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { text, tag, digest, force, signal } = wanted;
  try {
    return await repository.deleteTag(tag, signal);
  } catch (error) {
    if (!isTsbuildError(error, "REGISTRY_UNSUPPORTED")) throw error;
  }
  const tags = force ? [] : await tagsOf(repository, { digest, signal });
  const others = tags.filter((each) => each !== tag);
  if (others.length === 0) return repository.deleteManifest(digest, signal);
  throw apiError(
    "IMAGE_IN_USE",
    `remove ${text}: the registry can only remove the image with all its tags, not the tag ${tag} alone`,
    {
      hint: `it is ${others.slice(0, 5).join(", ")} too; --force removes them all`,
      details: { digest, tags: others },
    },
  );
}

async function tagsOf(
  repository: RegistryRepository,
  { digest, signal }: { readonly digest: Digest; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const tags: string[] = [];
  for await (const tag of repository.listTags({ limit: comparedTags, signal })) tags.push(tag);
  const limit = createLimiter(comparedAtOnce);
  const found = await Promise.all(
    tags.map((tag) => limit(async () => (await repository.resolve(tag, signal))?.digest)),
  );
  return tags.filter((_, at) => found[at] === digest);
}

function notRemote(place: Place): Error {
  return usageError(
    `remove ${place.text}: it is in no registry`,
    "remove files and directories as such; docker://NAME is an image in a registry",
  );
}
