import { apiError, usageError } from "../errors.ts";
import { normaliseTag } from "../images.ts";
import { checkAnnotations, parseAnnotation } from "./annotations.ts";
import { parseCompression, type CompressionChoice, type CompressionWords } from "./compression.ts";
import { storeOutput } from "./parse-output.ts";
import type { ImageForm, OutputSpec } from "./types.ts";

/** What the flags of a build say of its outputs. */
export interface OutputFlags {
  readonly outputs?: readonly OutputSpec[] | undefined;
  /** Send the image to its registry. */
  readonly push?: boolean | undefined;
  /** Put the image into the store beside other outputs. */
  readonly load?: boolean | undefined;
  /** `[types[platform]:]key=value`. */
  readonly annotations?: readonly string[] | undefined;
  readonly imageIdFile?: string | undefined;
  /** For outputs that do not say it themselves. */
  readonly compression?: CompressionWords | undefined;
}

/**
 * All outputs of a build: those that are asked for, the store when none is, `push` and annotations where they belong.
 * @throws REFERENCE_INVALID; USAGE, OUTPUT_UNSUPPORTED for what does not fit together
 * @see docs/spec/dockerfile.md, 7.1 to 7.6
 */
export function chooseOutputs(
  flags: OutputFlags,
  build: { readonly names: readonly string[]; readonly isIndex: boolean },
): readonly OutputSpec[] {
  const asked = flags.outputs ?? [];
  const pushed = flags.push === true ? pushAll(asked) : asked;
  const needsStore =
    pushed.length === 0 || (flags.load === true && !pushed.some(({ type }) => type === "image"));
  const annotations = (flags.annotations ?? []).flatMap(parseAnnotation);
  const compression = parseCompression(flags.compression ?? {});
  const outputs = [...pushed, ...(needsStore ? [storeOutput] : [])].map((output) =>
    withForm(output, (form) => ({
      ...withCompression(form, compression),
      annotations: [...form.annotations, ...annotations],
    })),
  );
  for (const output of outputs) checkOne(output, build);
  if (outputs.filter(isOnStdout).length > 1) {
    throw usageError("write several outputs to standard output", "give all but one of them a file");
  }
  if (
    flags.imageIdFile !== undefined &&
    outputs.some(({ type }) => type === "local" || type === "tar")
  ) {
    throw usageError(
      "write the image ID: local and tar exporters are incompatible with image ID file",
      "leave --iidfile out, or write an image",
    );
  }
  return outputs;
}

function pushAll(outputs: readonly OutputSpec[]): readonly OutputSpec[] {
  const isImage = ({ type }: OutputSpec): boolean => type === "image";
  const all = outputs.some(isImage) ? outputs : [...outputs, storeOutput];
  return all.map((output) => (output.type === "image" ? { ...output, push: true } : output));
}

function withForm(output: OutputSpec, change: (form: ImageForm) => ImageForm): OutputSpec {
  return "form" in output ? { ...output, form: change(output.form) } : output;
}

/** A level is one of the compression that it was given with. */
function withCompression(form: ImageForm, choice: CompressionChoice): ImageForm {
  const { compression, compressionLevel } = form.compression === undefined ? choice : form;
  const level = form.compressionLevel ?? compressionLevel;
  return {
    ...form,
    ...(compression === undefined ? {} : { compression }),
    ...(level === undefined ? {} : { compressionLevel: level }),
    forceCompression: form.forceCompression || choice.forceCompression === true,
    // See `readForm`.
    dockerTypes: form.dockerTypes && compression !== "zstd",
  };
}

function checkOne(
  output: OutputSpec,
  build: { readonly names: readonly string[]; readonly isIndex: boolean },
): void {
  if (!("form" in output)) return;
  checkAnnotations(output.form.annotations, build.isIndex);
  if (output.type === "docker" && build.isIndex) {
    throw apiError(
      "OUTPUT_UNSUPPORTED",
      "write output of type docker: docker exporter does not currently support exporting manifest lists",
      { hint: "use type=oci, or build one platform" },
    );
  }
  const names = output.form.names ?? build.names;
  // Before anything is built.
  for (const name of names) normaliseTag(name);
  if (output.type === "image" && output.push && names.length === 0) {
    throw usageError(
      "push an image without a name: tag is needed when pushing to registry",
      "name it with -t HOST/REPOSITORY:TAG",
    );
  }
}

/** Whether what is written can never be taken back. */
export function isOnStdout(output: OutputSpec): boolean {
  return "destination" in output && output.destination === "-";
}
