import type { StepLog } from "../../build/index.ts";
import type { Digest } from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import { describeGroup, idOf, type ImageGroup, type LocalImage } from "../../local/index.ts";
import type { Engine } from "../engine.ts";
import { normaliseName } from "../images.ts";
import { annotate, indexDescriptorAnnotations } from "./annotations.ts";
import { writeArchive } from "./archive-output.ts";
import { pushGroup } from "./push-output.ts";
import type { OutputReport } from "./reports.ts";
import type { ArchiveOutput, ImageForm, ImageOutput, OutputSpec } from "./types.ts";

/** What a build has made, before any output gives it a form. */
export interface BuiltImages {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly group: ImageGroup;
  /** Full names. */
  readonly names: readonly string[];
  /** SOURCE_DATE_EPOCH in nanoseconds. */
  readonly epoch: bigint | undefined;
  /** How many layers of an image are its base's. */
  readonly baseLayers: (image: LocalImage) => number;
  /** Over when the layers outlive a power cut: no name may lead to them sooner. */
  readonly durable: Promise<void>;
}

/** What the build is called by, and what programs are told of it. */
export interface WrittenOutputs extends OutputReport {
  /** Digest of the config; of several images, of their index as it was written last: a registry knows no other. */
  readonly imageId: Digest;
}

/**
 * Writes a build's result to all its outputs, in their order.
 * @throws OUTPUT_FAILED, ARCHIVE_WRITE_FAILED, REGISTRY_*
 */
export async function writeOutputs(
  outputs: readonly OutputSpec[],
  built: BuiltImages,
): Promise<WrittenOutputs> {
  let written: WrittenOutputs = { imageId: idOf(built.group), names: [] };
  for (const output of outputs) {
    const report = await writeOutput(output, built);
    if (report !== undefined) written = report;
  }
  return written;
}

async function writeOutput(
  output: OutputSpec,
  built: BuiltImages,
): Promise<WrittenOutputs | undefined> {
  const { steps } = built;
  if (output.type === "image") return writeImage(output, built);
  await built.durable;
  switch (output.type) {
    case "oci":
    case "docker":
      return steps.run(`exporting to ${output.type} image format`, () =>
        writeImageArchive(output, built),
      );
    case "local":
    case "tar": {
      const name = output.type === "local" ? "client directory" : "client tarball";
      await steps.run(`exporting to ${name}`, async () => {
        const { writeRootfs, writeRootfsTar } = await import("./rootfs-output.ts");
        const request = { engine: built.engine, group: built.group, mtime: built.epoch };
        if (output.type === "local") await writeRootfs(output, request);
        else await writeRootfsTar(output, request);
      });
      return undefined;
    }
    case "cacheonly":
      return undefined;
  }
}

async function writeImage(output: ImageOutput, built: BuiltImages): Promise<WrittenOutputs> {
  const { engine, steps } = built;
  const group = await formGroup(output.form, built);
  const names = namesOf(output, { built, id: idOf(group) });
  await steps.run("exporting to image", async () => {
    const kept = output.pushByDigest ? [] : names;
    if (output.store) await engine.images.keep(group, kept, { after: built.durable });
  });
  await built.durable;
  if (!output.push) return reportOf(group, { names, descriptor: describeGroup(group).root });
  const { pushByDigest: byDigest, isInsecure: insecure, form } = output;
  const isNamedHere = output.store && !byDigest;
  const push = { engine, group, names, steps, form, byDigest, isNamedHere, insecure };
  const descriptor = await pushGroup(push);
  return reportOf(group, { names, descriptor });
}

async function writeImageArchive(
  output: ArchiveOutput,
  built: BuiltImages,
): Promise<WrittenOutputs> {
  const group = await formGroup(output.form, built);
  const names = namesOf(output, { built, id: idOf(group) });
  const rootAnnotations = indexDescriptorAnnotations(output.form.annotations);
  const [descriptor] = await writeArchive({
    engine: built.engine,
    flavor: output.type,
    output: output.destination === "-" ? process.stdout : output.destination,
    isDirectory: !output.isTar,
    images: [{ group, names, ...(rootAnnotations === undefined ? {} : { rootAnnotations }) }],
    form: output.form,
  });
  return reportOf(group, { names, descriptor });
}

/** The images as this output is to have them. */
async function formGroup(form: ImageForm, built: BuiltImages): Promise<ImageGroup> {
  const { epoch, group } = built;
  if (!form.rewriteTimestamp || epoch === undefined) return annotate(group, form.annotations);
  // Rewritten layers are kept for the next build: none may be made of files that the disk has refused.
  await built.durable;
  const { rewriteTimestamps } = await import("./rewrite-timestamps.ts");
  return annotate(await rewriteTimestamps(group, { ...built, epoch }), form.annotations);
}

function namesOf(
  output: ArchiveOutput | ImageOutput,
  { built, id }: { readonly built: BuiltImages; readonly id: Digest },
): readonly string[] {
  const names = output.form.names?.map(normaliseName) ?? built.names;
  const prefix = output.type === "image" ? output.danglingPrefix : undefined;
  if (names.length > 0 || prefix === undefined) return names;
  return [normaliseName(`${prefix}@${id}`)];
}

function reportOf(
  group: ImageGroup,
  told: { readonly names: readonly string[]; readonly descriptor: Descriptor | undefined },
): WrittenOutputs {
  const { names, descriptor } = told;
  const configDigest = group.index === undefined ? idOf(group) : undefined;
  return {
    imageId: configDigest ?? descriptor?.digest ?? idOf(group),
    names,
    ...(descriptor === undefined ? {} : { descriptor }),
    ...(configDigest === undefined ? {} : { configDigest }),
  };
}
