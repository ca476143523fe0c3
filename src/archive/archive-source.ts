import { Readable } from "node:stream";
import { digestAlgorithm, digestHex, isDigest, type Digest } from "../core/index.ts";
import {
  maxManifestSize,
  parseIndex,
  plainDescriptor,
  type ContentSource,
  type Descriptor,
} from "../image/index.ts";
import { openArchiveFiles, type ArchiveFiles } from "./archive-files.ts";
import { readDockerArchive } from "./docker-archive.ts";
import { archiveError } from "./errors.ts";
import { isBesideImages, listLayoutReferrers } from "./layout-referrers.ts";
import { nameOfEntry, normalize, refNameAnnotation } from "./names.ts";
import type { ArchivedImage, ArchiveSource, OpenArchiveSourceOptions } from "./types.ts";

/**
 * Opens an archive of either kind: OCI layout (tar or directory) or docker-archive, of any age. What is both, as
 * `docker save` writes it, is read as an OCI layout.
 * @throws ARCHIVE_* codes; IMAGE_INVALID
 */
export async function openArchiveSource(options: OpenArchiveSourceOptions): Promise<ArchiveSource> {
  const files = await openArchiveFiles(options);
  try {
    const isLayout = (await files.size("index.json")) !== undefined;
    if (isLayout && options.readAs === undefined) return await openLayout(files, options);
    if ((await files.size("manifest.json")) !== undefined) return await openDockerArchive(files);
    throw archiveError("ARCHIVE_KIND_UNKNOWN", `read archive ${files.label}: it holds no images`, {
      hint: "an archive of images has an index.json or a manifest.json; a root filesystem has none",
      details: { path: files.label },
    });
  } catch (error) {
    await files.close();
    throw error;
  }
}

async function openLayout(
  files: ArchiveFiles,
  { repository }: OpenArchiveSourceOptions,
): Promise<ArchiveSource> {
  const bytes = await files.read("index.json", maxManifestSize);
  const entries = parseIndex(bytes).manifests;
  const images = groupByDigest(
    entries.filter((entry) => !isBesideImages(entry)),
    repository,
  );
  const source: ContentSource = {
    label: `archive ${files.label}`,
    resolve: resolver(images),
    fetch: ({ digest }) => files.open(blobPath(digest)),
  };
  return {
    ...source,
    kind: "oci-layout",
    images,
    listReferrers: (digest) => listLayoutReferrers(source, { entries, digest }),
    findCalled: (ref) =>
      entries.findLast(
        ({ annotations, digest }) => digest === ref || annotations?.[refNameAnnotation] === ref,
      ),
    close: () => files.close(),
  };
}

async function openDockerArchive(files: ArchiveFiles): Promise<ArchiveSource> {
  const content = await readDockerArchive(files);
  return {
    kind: "docker-archive",
    label: `archive ${files.label}`,
    images: content.images,
    listReferrers: () => Promise.resolve([]),
    findCalled: () => undefined,
    resolve: resolver(content.images),
    fetch: ({ digest }) => {
      const document = content.documents.get(digest);
      if (document !== undefined) {
        return Promise.resolve(Readable.from([document], { objectMode: false }));
      }
      return files.open(content.files.get(digest) ?? blobPath(digest));
    },
    close: () => files.close(),
  };
}

/** One image per digest, with all the names that entries give it. */
function groupByDigest(
  entries: readonly Descriptor[],
  repository: string | undefined,
): readonly ArchivedImage[] {
  const images = new Map<
    Digest,
    { descriptor: Descriptor; names: Set<string>; refs: Set<string> }
  >();
  for (const entry of entries) {
    const { platform } = entry;
    const descriptor = {
      ...plainDescriptor(entry),
      ...(platform === undefined ? {} : { platform }),
    };
    const image = images.get(entry.digest) ?? { descriptor, names: new Set(), refs: new Set() };
    const name = nameOfEntry(entry, repository);
    const ref = entry.annotations?.[refNameAnnotation];
    if (ref !== undefined && ref !== "") image.refs.add(ref);
    if (name !== undefined) image.names.add(name);
    images.set(entry.digest, image);
  }
  return [...images.values()].map(({ descriptor, names, refs }) => ({
    ...{ descriptor, names: [...names], refs: [...refs] },
  }));
}

function resolver(images: readonly ArchivedImage[]): ArchiveSource["resolve"] {
  return (text) => {
    const name = isDigest(text) ? undefined : normalize(text);
    // When a name was given twice, the last one counts, as if both had been loaded in order.
    const found = images.findLast(
      ({ descriptor, names }) =>
        descriptor.digest === text || (name !== undefined && names.includes(name)),
    );
    return Promise.resolve(found?.descriptor);
  };
}

/** Where an OCI layout keeps a blob. */
export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}
