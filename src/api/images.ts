import {
  formatReference,
  formatRepository,
  isTsbuildError,
  parseReference,
  familiarReference,
  withDefaultTag,
  type Digest,
  type Reference,
} from "../core/index.ts";
import type { ImageRemoval, LocalImage, LocalImageSummary, RemoveOptions } from "../local/index.ts";
import { readContainers, type Container } from "../runtime/index.ts";
import { containersOf, withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { apiError, usageError } from "./errors.ts";
import { missingHere } from "./missing-image.ts";

/** One name of one image, as `images` lists it. A dangling image has `<none>` for both parts. */
export interface ImageRow {
  readonly repository: string;
  readonly tag: string;
  readonly id: Digest;
  /** ISO time. */
  readonly created: string | undefined;
  /** Bytes, layers uncompressed. */
  readonly size: number;
}

/** Images by name; newest first. Those of one index are one. `all` adds the ones without a name. */
export async function listImages(
  options: EngineOptions & { readonly all?: boolean },
): Promise<readonly ImageRow[]> {
  return withEngine(options, async ({ images }) => {
    const rows = mergeIndexes(await images.list()).flatMap(({ names, ...row }): ImageRow[] => {
      if (names.length === 0) {
        return options.all === true ? [{ repository: "<none>", tag: "<none>", ...row }] : [];
      }
      return names.map((name) => ({ ...splitName(name), ...row }));
    });
    return rows.sort((a, b) => (b.created ?? "").localeCompare(a.created ?? ""));
  });
}

interface ListedImage extends Pick<ImageRow, "id" | "created" | "size"> {
  readonly names: readonly string[];
}

/** An image by itself under the names that are its own; the images of an index once, under its names. */
function mergeIndexes(summaries: readonly LocalImageSummary[]): readonly ListedImage[] {
  const listed: ListedImage[] = [];
  const indexes = new Map<Digest, ListedImage>();
  for (const { id, names, created, size, indexes: found } of summaries) {
    for (const index of found) {
      const known = indexes.get(index.digest);
      indexes.set(index.digest, {
        id: index.digest,
        names: index.names,
        created: [known?.created ?? "", created ?? ""].sort().at(-1) || undefined,
        size: (known?.size ?? 0) + size,
      });
    }
    const elsewhere = new Set(found.flatMap((index) => index.names));
    const own = names.filter((name) => !elsewhere.has(name));
    if (own.length > 0 || found.length === 0) listed.push({ id, names: own, created, size });
  }
  return [...listed, ...indexes.values()];
}

function splitName(name: string): { readonly repository: string; readonly tag: string } {
  const reference = parseReference(name);
  const { tag, digest: _digest, ...rest } = reference;
  return { repository: familiarReference(rest), tag: tag ?? "<none>" };
}

/** Gives an image one more name. @throws IMAGE_NOT_FOUND, REFERENCE_INVALID, USAGE for a digest */
export async function tagImage(
  options: EngineOptions & { readonly source: string; readonly target: string },
): Promise<void> {
  const target = normaliseTag(options.target);
  await withEngine(options, async (engine) => {
    await engine.images.tag(target, await findImage(engine, options.source));
  });
}

/** Names and images that went with one word. */
export interface RemovedNames {
  /** Familiar names. */
  readonly untagged: readonly string[];
  readonly deleted: readonly Digest[];
}

export interface RemoveImagesOptions extends EngineOptions {
  /** Names or IDs. */
  readonly images: readonly string[];
  readonly force: boolean;
  readonly onRemoved: (removed: RemovedNames) => void;
  /**
   * IMAGE_NOT_FOUND; IMAGE_IN_USE for the last name of an image that a container lies on, unless forced; LOCAL_*. The
   * others go on.
   */
  readonly onFailed: (error: unknown) => void;
}

/** Removes one name after the other; an image goes with its last name, its content with the next prune. */
export async function removeImages(options: RemoveImagesOptions): Promise<void> {
  return withEngine(options, async (engine) => {
    const removal = engine.images.openRemoval();
    let containers: Promise<readonly Container[]> | undefined;
    for (const name of options.images) {
      const mayGo = async (id: Digest): Promise<void> => {
        containers ??= readContainers(containersOf(engine));
        refuseUsed(await containers, { name, id });
      };
      try {
        options.onRemoved(
          await removeOne(removal, name, options.force ? { force: true } : { mayGo }),
        );
      } catch (error) {
        const isMissing = isTsbuildError(error, "LOCAL_IMAGE_NOT_FOUND");
        options.onFailed(isMissing ? await missingHere(engine, name) : error);
      }
    }
  });
}

async function removeOne(
  removal: ImageRemoval,
  name: string,
  options: RemoveOptions,
): Promise<RemovedNames> {
  const { untagged, deleted } = await removal.remove(name, options);
  const familiar = untagged.map((each) => familiarReference(parseReference(each)));
  return { untagged: familiar, deleted };
}

/** Another name would still keep the image; this is about the last one. */
function refuseUsed(
  containers: readonly Container[],
  { name, id }: { readonly name: string; readonly id: Digest },
): void {
  const container = containers.find(({ imageId }) => imageId === id);
  if (container === undefined) return;
  const isRunning = container.status === "running";
  throw apiError(
    "IMAGE_IN_USE",
    `remove image ${name}: container ${container.id.slice(0, 12)} ${isRunning ? "runs on it" : "lies on it"}`,
    {
      hint: isRunning
        ? "end the container first, or remove the name with --force"
        : "`tsbuild system prune` removes containers that have ended; --force removes the name nevertheless",
      details: { image: name, container: container.id },
    },
  );
}

/** @throws IMAGE_NOT_FOUND */
export async function findImage(engine: Engine, name: string): Promise<LocalImage> {
  const image = await engine.images.find(name);
  if (image === undefined) throw await missingHere(engine, name);
  return image;
}

/** The full form under which names are stored: registry, repository and tag. @throws REFERENCE_INVALID */
export function normaliseName(name: string): string {
  return formatReference(withDefaultTag(parseReference(name)));
}

/** Full names that a repository has here, one for each tag. */
export async function namesIn(
  { store }: Pick<Engine, "store">,
  repository: Pick<Reference, "domain" | "path">,
): Promise<readonly string[]> {
  const wanted = formatRepository(repository);
  return (await store.names.list())
    .map((record) => parseReference(record.name))
    .filter((each) => each.digest === undefined && formatRepository(each) === wanted)
    .map(formatReference);
}

/**
 * The full form of a name that somebody gives to an image. Content alone has a digest: under one that was made up, FROM
 * would find something else than the digest says.
 * @throws REFERENCE_INVALID, USAGE
 */
export function normaliseTag(name: string): string {
  if (parseReference(name).digest === undefined) return normaliseName(name);
  throw usageError(
    `name an image ${name}: a build tag cannot contain a digest`,
    "give a name such as app:1.0; whoever pushes it is told its digest",
  );
}
