import { StepLog } from "../../build/index.ts";
import {
  isKnownPlatform,
  normalizePlatform,
  type Digest,
  type Platform,
} from "../../core/index.ts";
import {
  findListed,
  openManifestLists,
  type ListedImage,
  type ManifestList,
} from "../../local/index.ts";
import { withEngine, type EngineOptions } from "../engine.ts";
import { apiError, usageError } from "../errors.ts";
import { normaliseTag } from "../images.ts";
import { readPair } from "../read-pair.ts";
import { referenceOf, resolveImages } from "./resolve-images.ts";

/** What a list is to say of an image beside its digest; what is not given stays. */
export interface ListedDetails {
  readonly os?: string | undefined;
  readonly architecture?: string | undefined;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
  /** Added to those that are there. */
  readonly osFeatures?: readonly string[] | undefined;
  /** `key=value`, added. */
  readonly annotations?: readonly string[] | undefined;
}

interface ListOptions extends EngineOptions {
  readonly name: string;
  readonly insecure?: boolean | undefined;
}

/**
 * Begins a list of images, or with `amend` goes on with one. Each word is an image of the store or of a registry, or an
 * index, of which all images are taken.
 * @returns the full name of the list
 * @throws MANIFEST_LIST_EXISTS, REFERENCE_INVALID; see `resolveImages`
 */
export async function createList(
  options: ListOptions & {
    readonly images: readonly string[];
    readonly amend?: boolean | undefined;
    /** `key=value`, of the list itself. */
    readonly annotations?: readonly string[] | undefined;
  },
): Promise<string> {
  return updateList(options, async (known, { name, resolve }) => {
    if (known !== undefined && options.amend !== true) {
      throw apiError("MANIFEST_LIST_EXISTS", `create manifest list ${name}: there is one`, {
        hint: "add to it with --amend or `tsbuild manifest add`, or remove it with `tsbuild manifest rm`",
        details: { name },
      });
    }
    const annotations = { ...known?.annotations, ...readAnnotations(options.annotations) };
    let list: ManifestList = { name, images: known?.images ?? [] };
    for (const word of options.images) list = mergeList(list, await resolve(word));
    return Object.keys(annotations).length === 0 ? list : { ...list, annotations };
  });
}

/**
 * Adds images to a list. One that is in it already gets what is new about it; what was added under the same name before
 * is replaced.
 * @throws MANIFEST_LIST_NOT_FOUND; see `resolveImages`
 */
export async function addToList(
  options: ListOptions & {
    readonly images: readonly string[];
    readonly details?: ListedDetails | undefined;
  },
): Promise<string> {
  return updateList(options, async (known, { name, resolve }) => {
    let list = expectList(known, name);
    for (const word of options.images) {
      const found = await resolve(word);
      list = mergeList(
        list,
        found.map((image) => withDetails(image, options.details ?? {})),
      );
    }
    return list;
  });
}

/**
 * Changes what a list says of one of its images, named by its digest or as it was when it was added.
 * @throws MANIFEST_LIST_NOT_FOUND, IMAGE_NOT_FOUND; USAGE for a platform that nobody knows
 */
export async function annotateList(
  options: ListOptions & { readonly image: string; readonly details: ListedDetails },
): Promise<string> {
  return updateList(options, async (known, { name }) => {
    const list = expectList(known, name);
    const [image] = expectImages(list, options.image, { several: false });
    const images = list.images.map((each) =>
      each === image ? withDetails(each, options.details) : each,
    );
    return { ...list, images };
  });
}

/** Takes images out of a list; of one that came as an index all. @throws MANIFEST_LIST_NOT_FOUND, IMAGE_NOT_FOUND */
export async function removeFromList(
  options: ListOptions & { readonly images: readonly string[] },
): Promise<string> {
  return updateList(options, async (known, { name }) => {
    const list = expectList(known, name);
    const removed = new Set<Digest>();
    for (const word of options.images) {
      for (const { descriptor } of expectImages(list, word, { several: true })) {
        removed.add(descriptor.digest);
      }
    }
    const images = list.images.filter(({ descriptor }) => !removed.has(descriptor.digest));
    return { ...list, images };
  });
}

/** Forgets lists; the images stay. @throws MANIFEST_LIST_NOT_FOUND for the first that is not here, before any is removed */
export async function removeLists(
  options: EngineOptions & { readonly names: readonly string[] },
): Promise<readonly string[]> {
  const names = options.names.map(normaliseTag);
  await withEngine(options, async ({ store, signal }) => {
    const lists = openManifestLists(store);
    for (const name of names) expectList(await lists.get(name), name);
    for (const name of names) await lists.update(name, () => Promise.resolve(undefined), signal);
  });
  return names;
}

export async function listExists(options: ListOptions): Promise<boolean> {
  const name = normaliseTag(options.name);
  return withEngine(options, async ({ store }) => {
    return (await openManifestLists(store).get(name)) !== undefined;
  });
}

/** @throws MANIFEST_LIST_NOT_FOUND */
export function expectList(list: ManifestList | undefined, name: string): ManifestList {
  if (list !== undefined) return list;
  throw apiError("MANIFEST_LIST_NOT_FOUND", `find manifest list ${name}: there is none here`, {
    hint: "begin one with `tsbuild manifest create`",
    details: { name },
  });
}

/** @throws IMAGE_NOT_FOUND; USAGE where one is wanted and the word means several */
export function expectImages(
  list: ManifestList,
  word: string,
  { several }: { readonly several: boolean },
): readonly ListedImage[] {
  const byDigest = findListed(list, word.slice(word.indexOf("@") + 1));
  const found = byDigest.length > 0 ? byDigest : findListed(list, referenceOf(word));
  if (found.length === 1 || (several && found.length > 0)) return found;
  const known = list.images.map(({ descriptor }) => descriptor.digest);
  if (found.length > 1) {
    const digests = found.map(({ descriptor }) => descriptor.digest).join(", ");
    throw usageError(
      `choose an image in ${list.name}: ${word} is several`,
      `give one of ${digests}`,
    );
  }
  throw apiError("IMAGE_NOT_FOUND", `find image ${word} in manifest list ${list.name}`, {
    hint: known.length === 0 ? "it is empty" : `it has ${known.join(", ")}`,
    details: { image: word, name: list.name },
  });
}

async function updateList(
  options: ListOptions,
  change: (
    known: ManifestList | undefined,
    place: {
      readonly name: string;
      readonly resolve: (word: string) => Promise<readonly ListedImage[]>;
    },
  ) => Promise<ManifestList>,
): Promise<string> {
  const name = normaliseTag(options.name);
  const { insecure } = options;
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const resolve = async (word: string): Promise<readonly ListedImage[]> =>
      resolveImages(word, { engine, steps, insecure });
    await openManifestLists(engine.store).update(
      name,
      (known) => change(known, { name, resolve }),
      engine.signal,
    );
    return name;
  });
}

/** By digest: platform and annotations of both are kept, the newer word counts. What had the same name before goes. */
export function mergeList(list: ManifestList, added: readonly ListedImage[]): ManifestList {
  const digests = new Set(added.map(({ descriptor }) => descriptor.digest));
  const references = new Set(added.map(({ reference }) => reference));
  const images = list.images.filter(
    ({ descriptor, reference }) => digests.has(descriptor.digest) || !references.has(reference),
  );
  for (const image of added) {
    const at = images.findIndex(({ descriptor }) => descriptor.digest === image.descriptor.digest);
    const known = images[at];
    if (known === undefined) images.push(image);
    else images[at] = mergeImages(known, image);
  }
  return { ...list, images };
}

function mergeImages(known: ListedImage, added: ListedImage): ListedImage {
  const annotations = { ...known.descriptor.annotations, ...added.descriptor.annotations };
  return {
    ...added,
    descriptor: {
      ...known.descriptor,
      ...added.descriptor,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  };
}

function withDetails(image: ListedImage, details: ListedDetails): ListedImage {
  const { descriptor } = image;
  const annotations = { ...descriptor.annotations, ...readAnnotations(details.annotations) };
  const platform = changePlatform(descriptor.platform, details);
  return {
    ...image,
    descriptor: {
      ...descriptor,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      ...(platform === undefined ? {} : { platform }),
    },
  };
}

function changePlatform(known: Platform | undefined, details: ListedDetails): Platform | undefined {
  const { variant, osVersion, osFeatures = [] } = details;
  const isChanged = [details.os, details.architecture, variant, osVersion].some(
    (each) => each !== undefined,
  );
  if (!isChanged && osFeatures.length === 0) return known;
  const machine = machineOf(known, details.architecture);
  const features = [...new Set([...(known?.osFeatures ?? []), ...osFeatures])];
  const { variant: _variant, ...rest } = known ?? {};
  const shown = variant ?? machine.variant;
  const platform = {
    ...rest,
    os: details.os ?? known?.os ?? "linux",
    architecture: machine.architecture,
    ...(shown === undefined ? {} : { variant: shown }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(features.length === 0 ? {} : { osFeatures: features }),
  };
  if (isKnownPlatform(platform)) return platform;
  throw usageError(
    `annotate an image: nobody knows the platform ${platform.os}/${platform.architecture}`,
    "give --os and --arch as Go spells them, such as linux and arm64",
  );
}

/** Names that the world uses are understood; the variant of another architecture says nothing of this one. */
function machineOf(
  known: Platform | undefined,
  given: string | undefined,
): Pick<Platform, "architecture" | "variant"> {
  if (given === undefined) return known ?? { architecture: "" };
  const normal = normalizePlatform({ os: "linux", architecture: given });
  return normal.architecture === given ? { architecture: given } : normal;
}

function readAnnotations(texts: readonly string[] = []): Readonly<Record<string, string>> {
  return Object.fromEntries(texts.map((text) => readPair(text, "annotation")));
}
