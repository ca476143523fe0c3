import { Readable } from "node:stream";
import { StepLog } from "../../build/index.ts";
import { digestOf, mediaTypes, type Digest } from "../../core/index.ts";
import {
  copyGraph,
  referrerOf,
  serializeManifest,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { apiError, usageError } from "../errors.ts";
import { describe } from "../output/push-output.ts";
import { openImage } from "../places/open-image.ts";
import { openTarget } from "../places/open-target.ts";
import { readPair } from "../read-pair.ts";
import {
  checkMediaType,
  parseArtifactFile,
  readArtifactFile,
  type ArtifactFile,
} from "./artifact-files.ts";
import { chooseSubject, parseSubjectPlace } from "./list-artifacts.ts";

export interface AttachArtifactOptions extends EngineOptions {
  /** A registry's name, with or without `docker://`, or the directory of a layout. */
  readonly image: string;
  /** Of an index the image that it is about; the index itself unless given. */
  readonly platform?: string | undefined;
  readonly artifactType: string;
  /** `FILE[:type]`. */
  readonly files: readonly string[];
  /** `key=value`, of the artifact. */
  readonly annotations?: readonly string[] | undefined;
  readonly insecure?: boolean | undefined;
}

export interface AttachedArtifact {
  readonly digest: Digest;
  /** What it is about. */
  readonly subject: Digest;
}

/**
 * Stores files as an artifact that names an image as its subject, so that whoever knows the image finds them. The same
 * files give the same artifact.
 * @throws USAGE, ARTIFACT_UNREADABLE, IMAGE_*, REGISTRY_*, ARCHIVE_*
 * @see OCI image spec, manifest.md, "Guidelines for Artifact Usage"
 */
export async function attachArtifact(options: AttachArtifactOptions): Promise<AttachedArtifact> {
  const place = parseSubjectPlace(options.image);
  if (place.type === "oci-archive") {
    throw usageError(`add to ${place.text}: a tar cannot grow`, "use oci:DIR:REF, or a registry");
  }
  const artifactType = checkMediaType(options.artifactType);
  const annotations = (options.annotations ?? []).map((text) => readPair(text, "annotation"));
  if (options.files.length === 0 && annotations.length === 0) {
    throw usageError(
      `attach nothing to ${place.text}`,
      "name a file, or say something with --annotation key=value",
    );
  }
  return withEngine(options, async (engine) => {
    const { insecure } = options;
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openImage(place, { engine, steps, insecure });
    const { signal } = engine;
    const subject = await chooseSubject(opened, {
      ...{ place, platform: options.platform, signal },
    }).finally(() => opened.close());
    const files = await readFiles(options.files, signal);
    const artifact = new Artifact({ subject, artifactType, annotations, files });
    await steps.run(`attaching to ${place.text}`, async (step) => {
      const target = await openTarget(place, { engine, insecure });
      try {
        await copyGraph({
          ...{ source: artifact, sink: target.sink, root: artifact.descriptor, signal },
          onProgress: (progress) => step.progress(describe(progress)),
        });
        await target.referrers?.list(subject.digest, [artifact.entry]);
        await target.finish(undefined);
      } catch (error) {
        await target.abort();
        throw error;
      } finally {
        await target.close();
      }
    });
    return { digest: artifact.descriptor.digest, subject: subject.digest };
  });
}

async function readFiles(
  texts: readonly string[],
  signal: Engine["signal"],
): Promise<readonly ArtifactFile[]> {
  const files = texts.map(parseArtifactFile);
  if (files.filter(({ path }) => path === "-").length > 1) {
    throw usageError("read standard input twice", "name it once");
  }
  const read: ArtifactFile[] = [];
  for (const file of files) read.push(await readArtifactFile(file, signal));
  return read;
}

const emptyConfig = Buffer.from("{}");

/** The documents and files of an artifact, as a place. */
class Artifact implements ContentSource {
  readonly label = "artifact";
  readonly descriptor: Descriptor;
  /** What a list of referrers says of it. */
  readonly entry: Descriptor;
  readonly #content = new Map<Digest, () => Readable>();

  constructor(parts: {
    readonly subject: Descriptor;
    readonly artifactType: string;
    readonly annotations: readonly (readonly [string, string])[];
    readonly files: readonly ArtifactFile[];
  }) {
    const { subject, artifactType, files } = parts;
    const annotations = Object.fromEntries(parts.annotations);
    const config = this.#add(mediaTypes.ociEmpty, emptyConfig);
    for (const { descriptor, open } of files) this.#content.set(descriptor.digest, open);
    const bytes = serializeManifest({
      mediaType: mediaTypes.ociManifest,
      ...{ artifactType, config, subject },
      // The specification wants one layer at least.
      layers: files.length === 0 ? [config] : files.map(({ descriptor }) => descriptor),
      ...(parts.annotations.length === 0 ? {} : { annotations }),
    });
    this.descriptor = this.#add(mediaTypes.ociManifest, bytes);
    this.entry = referrerOf(this.descriptor, bytes)?.entry ?? this.descriptor;
  }

  fetch({ digest }: Descriptor): Promise<Readable> {
    const open = this.#content.get(digest);
    if (open !== undefined) return Promise.resolve(open());
    const message = `read ${digest} of an artifact: it is not there`;
    return Promise.reject(apiError("IMAGE_NOT_FOUND", message, { details: { digest } }));
  }

  resolve(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  #add(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes);
    this.#content.set(digest, () => Readable.from([bytes], { objectMode: false }));
    return { mediaType, digest, size: bytes.length };
  }
}
