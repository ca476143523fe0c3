import type { ArchivedImage, ArchiveSource } from "../../archive/index.ts";
import type { StepLog } from "../../build/index.ts";
import {
  familiarReference,
  formatReference,
  isDigest,
  parseReference,
  type Digest,
} from "../../core/index.ts";
import { plainDescriptor, type ContentSource, type Descriptor } from "../../image/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { openRemoteImage } from "../open-repository.ts";
import { apiError } from "../errors.ts";
import { missingHere } from "../missing-image.ts";
import { fetching } from "../output/archive-output.ts";
import type { Place } from "./parse-place.ts";

/** An image in some place, ready to be copied. Whoever opens it closes it. */
export interface OpenedImage {
  readonly source: ContentSource;
  readonly root: Descriptor;
  /** The place has no manifests: what `root` is was made here. */
  readonly isMade: boolean;
  /** Absent where a place keeps images alone. */
  readonly referrers?: ReferrersSource;
  close(): Promise<void>;
}

/** Signatures, attestations and other artifacts of a place, by what they are about. */
export interface ReferrersSource {
  /** What names some content as its subject, each once. */
  list(digest: Digest, artifactType?: string): Promise<readonly Descriptor[]>;
  /** What stands under a tag beside the image. */
  tagged(tag: string): Promise<Descriptor | undefined>;
}

export interface OpenImageOptions {
  readonly engine: Engine;
  readonly steps: StepLog;
  /** Accept any certificate, and plain http. */
  readonly insecure?: boolean | undefined;
}

/**
 * Opens the image that a place names. Layers of an image that was built here are compressed for that, unless they have
 * been before.
 * @throws IMAGE_NOT_FOUND, REGISTRY_*, ARCHIVE_*, LOCAL_*; USAGE where a place with several images says none of them
 */
export async function openImage(place: Place, options: OpenImageOptions): Promise<OpenedImage> {
  switch (place.type) {
    case "store":
      return openLocal(place.name, options);
    case "registry":
      return openRemote(formatReference(place.reference), options);
    case "layout":
    case "oci-archive":
    case "docker-archive":
      return openArchived(place, options);
    case "directory": {
      const { openImageDirectory } = await import("../../archive/index.ts");
      const source = await openImageDirectory(place.path);
      return { source, root: source.root, isMade: false, close: () => source.close() };
    }
  }
}

async function openLocal(name: string, { engine, steps }: OpenImageOptions): Promise<OpenedImage> {
  const image = await engine.images.find(name);
  if (image === undefined) throw await missingInStore(engine, name);
  const original = await engine.images.findOriginal(image);
  if (original !== undefined) {
    const close = (): Promise<void> => Promise.resolve();
    return { source: engine.images.source(), root: original, isMade: false, close };
  }
  const group = await engine.images.groupOf(image);
  const bases = new BaseImages(engine, { pull: false });
  try {
    const { root, source } = await steps.run(`reading ${name}`, () =>
      engine.images.exportGroup(group, {
        compression: "gzip",
        reuse: true,
        ...fetching(group, bases),
        signal: engine.signal,
      }),
    );
    return { source, root, isMade: false, close: () => bases.close() };
  } catch (error) {
    await bases.close();
    throw error;
  }
}

/** Whoever names a registry may have meant that one. */
async function missingInStore(engine: Engine, name: string): Promise<Error> {
  const registry = /^([^/]+)\/./.exec(name)?.[1];
  if (registry === undefined || !/[.:]|^localhost$/.test(registry)) {
    return missingHere(engine, name);
  }
  return apiError("IMAGE_NOT_FOUND", `find image ${name}: it is not here`, {
    hint: `docker://${name} is the one in its registry`,
    details: { image: name },
  });
}

async function openRemote(
  name: string,
  { engine, insecure }: OpenImageOptions,
): Promise<OpenedImage> {
  const remote = await openRemoteImage(engine, { name, access: "pull", insecure });
  const { repository: source, root } = remote;
  const { signal } = engine;
  const referrers: ReferrersSource = {
    list: (digest, artifactType) => source.listReferrers(digest, { artifactType, signal }),
    tagged: (tag) => source.resolve(tag, signal),
  };
  return { source, root, isMade: false, referrers, close: () => source.close() };
}

type ArchivePlace = Extract<Place, { readonly type: "layout" | "oci-archive" | "docker-archive" }>;

async function openArchived(
  place: ArchivePlace,
  { engine }: OpenImageOptions,
): Promise<OpenedImage> {
  const { openArchiveSource } = await import("../../archive/index.ts");
  const number = "number" in place ? place.number : undefined;
  const source = await openArchiveSource({
    input: place.path === "-" ? process.stdin : place.path,
    // Numbers are those of `manifest.json`.
    ...(number === undefined ? {} : { readAs: "docker-archive" }),
    tmpDir: engine.store.tmpDir,
    signal: engine.signal,
  });
  try {
    const { descriptor: root } =
      number === undefined ? chooseImage(source, place) : imageAt(source, place, number);
    const isMade = source.kind === "docker-archive";
    const referrers = place.type === "docker-archive" ? {} : { referrers: referrersOf(source) };
    return { source, root, isMade, ...referrers, close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

function referrersOf(source: ArchiveSource): ReferrersSource {
  return {
    list: async (digest, artifactType) => {
      const found = await source.listReferrers(digest);
      if (artifactType === undefined) return found;
      return found.filter((entry) => entry.artifactType === artifactType);
    },
    tagged: (tag) => Promise.resolve(source.findCalled(tag)),
  };
}

function imageAt({ images }: ArchiveSource, place: ArchivePlace, number: number): ArchivedImage {
  const found = images[number];
  if (found !== undefined) return found;
  throw apiError("IMAGE_NOT_FOUND", `find image ${String(number)} in ${place.path}`, {
    hint: `it holds ${String(images.length)}, counted from 0`,
    details: { path: place.path, wanted: number, images: images.length },
  });
}

/** By what it is called there, by digest or by name; the only image needs none of these. */
function chooseImage(
  { images, findCalled }: ArchiveSource,
  place: ArchivePlace,
): Pick<ArchivedImage, "descriptor"> {
  const { ref, path } = place;
  const [only, ...more] = images;
  if (ref === undefined && only !== undefined && more.length === 0) return only;
  const found = ref === undefined ? undefined : findRef(images, ref);
  if (found !== undefined) return found;
  const other = ref === undefined ? undefined : findCalled(ref.replace(/^@/, ""));
  if (other !== undefined) return { descriptor: plainDescriptor(other) };
  const known = images.flatMap((image) => callNames(image));
  throw apiError(
    "IMAGE_NOT_FOUND",
    ref === undefined
      ? `choose an image in ${path}: it holds ${String(images.length)}`
      : `find ${ref} in ${path}`,
    {
      hint: known.length === 0 ? "it holds no images" : `there is ${known.join(", ")}`,
      details: { path, images: known, ...(ref === undefined ? {} : { wanted: ref }) },
    },
  );
}

function findRef(images: readonly ArchivedImage[], ref: string): ArchivedImage | undefined {
  const digest = ref.replace(/^@/, "");
  if (isDigest(digest)) return images.find(({ descriptor }) => descriptor.digest === digest);
  const isCalled = (image: ArchivedImage): boolean =>
    image.refs.includes(ref) || callNames(image).includes(ref) || image.names.includes(ref);
  return (
    images.findLast(isCalled) ??
    images.findLast(({ names }) => names.some((name) => parseReference(name).tag === ref))
  );
}

/** What an image of an archive can be called by. */
function callNames({ descriptor, names, refs }: ArchivedImage): readonly string[] {
  const familiar = names.map((name) => familiarReference(parseReference(name)));
  const all = [...new Set([...familiar, ...refs.filter((ref) => !isTagOf(ref, familiar))])];
  return all.length === 0 ? [descriptor.digest] : all;
}

function isTagOf(ref: string, names: readonly string[]): boolean {
  return names.some((name) => parseReference(name).tag === ref);
}
