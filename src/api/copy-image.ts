import { StepLog } from "../build/index.ts";
import { parsePlatform, type Digest } from "../core/index.ts";
import { copyGraph, type Descriptor, type ManifestFormat } from "../image/index.ts";
import type { MountSource } from "../registry/index.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { usageError } from "./errors.ts";
import { nameImage } from "./missing-image.ts";
import { describe } from "./output/push-output.ts";
import { convertImage } from "./places/convert-image.ts";
import { reportDigest } from "./output/reports.ts";
import { openImage, type OpenedImage } from "./places/open-image.ts";
import { openTarget, type OpenedTarget } from "./places/open-target.ts";
import { parsePlace, type Place } from "./places/parse-place.ts";
import { pickPlatforms } from "./places/pick-platforms.ts";
import { checkKeepsReferrers, copyReferrers } from "./referrers/copy-referrers.ts";

export interface CopiedImage {
  /** Of what stands at the target now. */
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes and pieces that moved, and those that were there. */
  readonly copied: { readonly count: number; readonly bytes: number };
  readonly skipped: { readonly count: number; readonly bytes: number };
}

export interface CopyImageOptions extends EngineOptions {
  /** Places, see `parsePlace`. */
  readonly source: string;
  readonly target: string;
  /** Of an index only these; all unless given. */
  readonly platforms?: readonly string[] | undefined;
  /** Types of the manifests at the target; as they are unless given. */
  readonly format?: ManifestFormat | undefined;
  /** Signatures, attestations and other artifacts that refer to the image, or to images of it, too. */
  readonly referrers?: boolean | undefined;
  /** Gets the digest that the image has there. */
  readonly digestFile?: string | undefined;
  /** Accept any certificate and plain http, on both sides. */
  readonly insecure?: boolean | undefined;
}

/**
 * Copies an image from one place to another without unpacking it. Not a byte of a manifest changes, so that the digest
 * stays the same, unless the call itself asks for something else (several platforms of more, another format) or the
 * source has no manifests (an old docker archive).
 * @throws USAGE, PLATFORM_INVALID, IMAGE_*, REGISTRY_*, ARCHIVE_*, LOCAL_*
 */
export async function copyImage(options: CopyImageOptions): Promise<CopiedImage> {
  const from = parsePlace(options.source);
  const to = parsePlace(options.target);
  const platforms = (options.platforms ?? []).map(parsePlatform);
  const wantsReferrers = options.referrers === true;
  if (wantsReferrers) checkReferrers(from, to, options);
  const copy = async (engine: Engine): Promise<CopiedImage> => {
    const { insecure } = options;
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openImage(from, { engine, steps, insecure });
    try {
      tellMade(opened, { from, steps });
      const { signal } = engine;
      const picked = await pickPlatforms({ ...opened, platforms, signal }).catch(
        (error: unknown) => {
          throw nameImage(error, from.text);
        },
      );
      const { source, root } = await convertTo(options.format, picked, { engine, steps });
      const { referrers } = wantsReferrers ? opened : {};
      const request = { engine, steps, from, source, root, insecure };
      return await copyTo(to, {
        ...request,
        ...(referrers === undefined
          ? {}
          : {
              beforeNaming: (target) =>
                copyReferrers({ referrers, source, root, target, steps, signal }),
            }),
      });
    } finally {
      await opened.close();
    }
  };
  return reportDigest(options.digestFile, () => withEngine(options, copy));
}

/** What refers to an image is about the image as it is. @throws USAGE */
function checkReferrers(from: Place, to: Place, { format }: CopyImageOptions): void {
  checkKeepsReferrers(from, to);
  if (format === undefined) return;
  throw usageError(
    "copy what refers to an image, and change the format of the image: its digest would be another one",
    "give --referrers or --format",
  );
}

/** A manifest that was made here has a digest that no other tool can know. */
function tellMade(
  { isMade, root }: OpenedImage,
  { from, steps }: { readonly from: Place; readonly steps: StepLog },
): void {
  if (!isMade) return;
  steps.warn({
    code: "MANIFEST_MADE",
    message: `${from.text} has no manifest: one was made for it, ${root.digest}`,
  });
}

/** The image in another format, with a warning of what that loses; as it is where none is named. */
export async function convertTo(
  format: ManifestFormat | undefined,
  image: Pick<OpenedImage, "source" | "root">,
  { engine, steps }: { readonly engine: Engine; readonly steps: StepLog },
): Promise<Pick<OpenedImage, "source" | "root">> {
  if (format === undefined) return image;
  const converted = await convertImage({ ...image, format, signal: engine.signal });
  if (converted.lost.length > 0) {
    steps.warn({
      code: "CONVERSION_LOSES",
      message: `Docker's format has no place for ${converted.lost.join(", ")}: left out`,
    });
  }
  return converted;
}

/** Copies a graph to a place and names it there. */
export async function copyTo(
  to: Place,
  request: {
    readonly engine: Engine;
    readonly steps: StepLog;
    readonly from?: Place | undefined;
    readonly source: OpenedImage["source"];
    readonly root: Descriptor;
    readonly mountFrom?: MountSource | undefined;
    /** What else is to be there before the image has its name. */
    readonly beforeNaming?: ((target: OpenedTarget) => Promise<void>) | undefined;
    readonly insecure?: boolean | undefined;
  },
): Promise<CopiedImage> {
  const { engine, steps, source, root } = request;
  const { signal } = engine;
  const target = await openTarget(to, request);
  try {
    const copied = await steps.run(`copying to ${to.text}`, async (step) =>
      copyGraph({
        source,
        sink: target.sink,
        root,
        signal,
        onProgress: (progress) => step.progress(describe(progress)),
      }),
    );
    await request.beforeNaming?.(target);
    await target.finish(root);
    const { digest, mediaType } = root;
    return { digest, mediaType, copied: copied.copied, skipped: copied.skipped };
  } catch (error) {
    await target.abort();
    throw error;
  } finally {
    await target.close();
  }
}
