import {
  choosePlatform,
  formatPlatform,
  isConfigType,
  isIndexType,
  isManifestType,
  type Digest,
  type Platform,
} from "../core/index.ts";
import { imageError } from "./errors.ts";
import { configPlatform, maxConfigSize, parseImageConfig } from "./config.ts";
import { maxManifestSize, parseIndex, parseManifest } from "./manifest.ts";
import { readNamed } from "./name-document.ts";
import { readContent } from "./read-content.ts";
import type { ContentSource, Descriptor, Index } from "./types.ts";

/** Indexes may lie inside indexes; deeper than this is an attack. */
export const maxIndexDepth = 8;

export interface SelectManifestOptions {
  readonly source: ContentSource;
  /** A manifest, or an index to choose from. */
  readonly root: Descriptor;
  readonly platform: Platform;
  readonly signal?: AbortSignal | undefined;
}

/** What was chosen, and the way to it. */
export interface SelectedManifest {
  readonly manifest: Descriptor;
  /** The indexes on the way, outermost first; empty when the root was a manifest. */
  readonly indexes: readonly Descriptor[];
}

/**
 * Chooses the manifest for a platform. A root that is a manifest is taken as it is, whatever its platform.
 * @throws IMAGE_PLATFORM_NOT_FOUND with the platforms that exist, IMAGE_TOO_DEEP, IMAGE_INVALID
 */
export async function selectManifest(options: SelectManifestOptions): Promise<SelectedManifest> {
  const { root, platform } = options;
  if (!isIndexType(root.mediaType)) return { manifest: root, indexes: [] };
  const listed = await collectCandidates({ ...options, path: [], seen: new Set() });
  const named = listed.filter(isNamed);
  const choose = (from: readonly NamedCandidate[]): SelectedManifest | undefined => {
    const chosen = choosePlatform(from, platform);
    return chosen && { manifest: chosen.manifest, indexes: chosen.indexes };
  };
  const chosen = choose(named);
  if (chosen !== undefined) return chosen;
  const found = [...named, ...(await askConfigs(options, listed))];
  const asked = choose(found);
  if (asked !== undefined) return asked;
  const available = [
    ...new Set(found.map((candidate) => formatPlatform(candidate.platform))),
  ].sort();
  throw imageError(
    "IMAGE_PLATFORM_NOT_FOUND",
    `choose an image for ${formatPlatform(platform)} in ${root.digest}`,
    {
      hint: available.length === 0 ? "the index names no platform" : tellPlatforms(available),
      details: { wanted: formatPlatform(platform), available },
    },
  );
}

/** Platforms that a hint names; an index may have thousands. */
const toldPlatforms = 30;

/** Which platforms there are, for a hint. */
export function tellPlatforms(available: readonly string[]): string {
  const rest = available.length - toldPlatforms;
  const more = rest > 0 ? ` and ${String(rest)} more` : "";
  return `there is ${available.slice(0, toldPlatforms).join(", ")}${more}`;
}

interface Candidate extends SelectedManifest {
  /** What the index says. */
  readonly platform: Platform | undefined;
}

type NamedCandidate = Candidate & { readonly platform: Platform };

function isNamed(candidate: Candidate): candidate is NamedCandidate {
  return candidate.platform !== undefined;
}

/** Entries without a platform that are looked into; an index may have thousands. */
const maxAsked = 16;

/** Where the index does not say for which platform an image is, its config does. */
async function askConfigs(
  options: SelectManifestOptions,
  listed: readonly Candidate[],
): Promise<readonly NamedCandidate[]> {
  const { source, signal } = options;
  const silent = listed.filter((candidate) => !isNamed(candidate)).slice(0, maxAsked);
  const asked: NamedCandidate[] = [];
  for (const candidate of silent) {
    const { manifest: descriptor } = candidate;
    const bytes = await readContent({ source, descriptor, limit: maxManifestSize, signal });
    const { config, artifactType } = readNamed({ descriptor, source }, () =>
      parseManifest(bytes, descriptor.mediaType),
    );
    if (artifactType !== undefined || !isConfigType(config.mediaType)) continue;
    const document = await readContent({
      source,
      descriptor: config,
      limit: maxConfigSize,
      signal,
    });
    const parsed = readNamed({ descriptor: config, source }, () => parseImageConfig(document));
    asked.push({ ...candidate, platform: configPlatform(parsed) });
  }
  return asked;
}

async function collectCandidates(
  options: SelectManifestOptions & {
    readonly path: readonly Descriptor[];
    /** Indexes that were read: what a second one of them holds was found already. */
    readonly seen: Set<Digest>;
  },
): Promise<readonly Candidate[]> {
  const { source, root, signal, seen } = options;
  const indexes = [...options.path, root];
  const about = { descriptor: root, source };
  readNamed(about, () => checkDepth(indexes.map(({ digest }) => digest)));
  // A few indexes of thousands of entries, each naming the next one, would be asked for more often than there are atoms.
  if (seen.has(root.digest)) return [];
  seen.add(root.digest);
  const bytes = await readContent({ source, descriptor: root, limit: maxManifestSize, signal });
  const candidates: Candidate[] = [];
  const { manifests } = readNamed(about, () => parseIndex(bytes, root.mediaType));
  for (const entry of manifests) {
    if (isIndexType(entry.mediaType)) {
      candidates.push(...(await collectCandidates({ ...options, root: entry, path: indexes })));
    } else if (isImage(entry)) {
      candidates.push({ manifest: entry, indexes, platform: entry.platform });
    }
  }
  return candidates;
}

/** @throws IMAGE_TOO_DEEP for a way through too many indexes, or through one of them twice */
export function checkDepth(path: readonly Digest[]): void {
  const isCycle = new Set(path).size < path.length;
  if (!isCycle && path.length <= maxIndexDepth) return;
  const limit = maxIndexDepth;
  throw imageError("IMAGE_TOO_DEEP", `follow ${String(path.length)} indexes inside each other`, {
    details: { limit, path },
  });
}

/** Entries of an index that are images of some platform: no attestations, nothing of a kind that is unknown here. */
export function listRunnable(
  index: Index,
): readonly (Descriptor & { readonly platform: Platform })[] {
  return index.manifests.filter(isRunnable);
}

function isRunnable(entry: Descriptor): entry is Descriptor & { readonly platform: Platform } {
  return entry.platform !== undefined && isImage(entry);
}

function isImage(entry: Descriptor): boolean {
  return (
    isManifestType(entry.mediaType) &&
    entry.platform?.os !== "unknown" &&
    entry.artifactType === undefined &&
    entry.annotations?.["vnd.docker.reference.type"] === undefined
  );
}
