import {
  familiarReference,
  formatPlatform,
  formatRepository,
  isTsbuildError,
  parseReference,
  TsbuildError,
  type Platform,
  type Reference,
} from "../core/index.ts";
import { imageError, tellPlatforms } from "../image/index.ts";
import type { RegistryRepository } from "../registry/index.ts";
import type { Engine } from "./engine.ts";
import { apiError, imageNotFound } from "./errors.ts";

/** Tags that are read before a search for a similar one ends. */
const searchedTags = 10_000;
/** Tags that a hint names. */
const toldTags = 5;

/** IMAGE_NOT_FOUND for a name or ID that is not in the store, with the name that may have been meant. */
export async function missingHere(engine: Engine, name: string): Promise<Error> {
  const records = await engine.store.names.list();
  const names = records.map((record) => familiarReference(parseReference(record.name)));
  return imageNotFound(name, await nearName(name, names));
}

/** IMAGE_NOT_FOUND for a name that its registry does not know, with the tags that it knows instead. */
export async function missingInRegistry(
  repository: RegistryRepository,
  name: string,
  signal: AbortSignal,
): Promise<Error> {
  const reference = parseReference(name);
  const tags = await knownTags(repository, signal);
  return apiError("IMAGE_NOT_FOUND", `find image ${name}: its registry does not have it`, {
    hint: await registryHint(reference, tags),
    details: { image: name, ...(tags === undefined ? {} : { tags: tags.slice(0, 100) }) },
  });
}

/** IMAGE_PLATFORM_NOT_FOUND for one that none of these images is made for. */
export function missingPlatform(
  where: string,
  about: {
    readonly wanted: Platform;
    readonly candidates: readonly { readonly platform: Platform }[];
  },
): Error {
  const wanted = formatPlatform(about.wanted);
  const available = about.candidates.map(({ platform }) => formatPlatform(platform));
  return imageError("IMAGE_PLATFORM_NOT_FOUND", `find ${wanted} in ${where}`, {
    hint: available.length === 0 ? "there are no images" : tellPlatforms(available),
    details: { where, wanted, available },
  });
}

/** IMAGE_PLATFORM_NOT_FOUND told with the image's name instead of a digest; other errors as they are. */
export function nameImage(error: unknown, name: string): unknown {
  if (!isTsbuildError(error, "IMAGE_PLATFORM_NOT_FOUND")) return error;
  const { wanted } = error.details;
  if (typeof wanted !== "string") return error;
  return new TsbuildError({
    code: error.code,
    message: `find ${wanted} in image ${name}: it is not made for that platform`,
    hint: error.hint,
    details: { ...error.details, image: name },
    cause: error.cause,
  });
}

async function nearName(name: string, names: readonly string[]): Promise<string | undefined> {
  const repository = repositoryOf(name);
  const sibling = names.find((each) => repositoryOf(each) === repository);
  return (await suggest(name, names)) ?? sibling;
}

function repositoryOf(name: string): string | undefined {
  try {
    return formatRepository(parseReference(name));
  } catch {
    // An ID is no name.
    return undefined;
  }
}

/** Undefined when there is no such repository, or the registry does not tell. */
async function knownTags(
  repository: RegistryRepository,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const tags: string[] = [];
  try {
    for await (const tag of repository.listTags({ signal })) {
      // Where signatures and other artifacts are kept is no image that somebody may have meant.
      if (/^sha256-[0-9a-f]{64}(?:\.|$)/.test(tag)) continue;
      tags.push(tag);
      if (tags.length >= searchedTags) break;
    }
    return tags;
  } catch (error) {
    // The list only makes a hint better; that the image is missing is the news.
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}

async function registryHint(
  reference: Reference,
  tags: readonly string[] | undefined,
): Promise<string> {
  const { tag = "latest", digest } = reference;
  if (tags === undefined || tags.length === 0) return "check the name and the tag";
  if (digest !== undefined) return "check the digest; the repository itself is there";
  const near = await suggest(tag, tags);
  if (near !== undefined) return `did you mean the tag ${near}?`;
  const [word = tag] = tag.split(/[-.]/);
  const similar = tags.filter((each) => each.startsWith(word));
  const told = similar.length > 0 ? similar : tags;
  const rest = told.length > toldTags ? ", …" : "";
  return `there is no tag ${tag}, but there is ${told.slice(0, toldTags).join(", ")}${rest}`;
}

async function suggest(word: string, candidates: readonly string[]): Promise<string | undefined> {
  // Loaded here because only failures need it.
  const dockerfile = await import("../dockerfile/index.ts");
  return dockerfile.suggest(word, candidates);
}
