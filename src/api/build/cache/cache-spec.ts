import { splitCsv, type LayerCompression } from "../../../core/index.ts";
import { apiError, usageError } from "../../errors.ts";
import { parseCompression } from "../../output/compression.ts";
import { TypedFields } from "../../typed-fields.ts";

/** Where a cache is, or is to be. @see docs/spec/dockerfile.md, 6.19 to 6.21 */
export type CachePlaceSpec =
  | { readonly type: "registry"; readonly ref: string; readonly isInsecure: boolean }
  | {
      readonly type: "local";
      readonly directory: string;
      readonly tag: string;
      /** Reads this one, whatever the tag stands for. */
      readonly digest?: string;
    }
  /** Fields as they were written, without those that every place has. */
  | { readonly type: "s3"; readonly fields: ReadonlyMap<string, string> };

/** One `--cache-from`. */
export type CacheSource =
  | CachePlaceSpec
  /** A kind of place that is not known here. */
  | { readonly type: "unsupported"; readonly kind: string };

/** One `--cache-to`. */
export type CacheTarget = CacheTargetForm &
  (
    | {
        readonly type: "place";
        readonly place: CachePlaceSpec;
        /** `local` alone: what is there goes. */
        readonly reset: boolean;
      }
    /** In the config of the image itself. */
    | { readonly type: "inline" }
  );

interface CacheTargetForm {
  /** Steps of the result, or all that the build knows of. */
  readonly mode: "min" | "max";
  readonly compression?: LayerCompression;
  readonly compressionLevel?: number;
  /** Layers that exist in another compression are brought into this one too. */
  readonly forceCompression: boolean;
  readonly isImageManifest: boolean;
  readonly dockerTypes: boolean;
  /** A failure is a warning. */
  readonly ignoreError: boolean;
}

/**
 * Reads `--cache-from`: a reference, or `type=registry|local|s3` with fields, comma-separated.
 * @throws USAGE
 */
export function parseCacheFrom(text: string): CacheSource {
  const fields = new Fields(text, "--cache-from");
  const type = fields.takeType();
  switch (type) {
    case "gha":
    case "azblob":
      return { type: "unsupported", kind: type };
    case "inline":
      return fields.fail(
        "a cache in an image is read by the name of the image: type=registry,ref=IMAGE",
      );
    default: {
      const place = readPlace(fields, { type, directoryField: "src" });
      fields.refuseRest();
      return place;
    }
  }
}

/**
 * Reads `--cache-to`: a reference, or `type=registry|local|inline|s3` with fields, comma-separated.
 * @throws USAGE; OUTPUT_UNSUPPORTED for kinds of places that are not known here, and for estargz
 */
export function parseCacheTo(text: string): CacheTarget {
  const fields = new Fields(text, "--cache-to");
  const type = fields.takeType();
  if (type === "gha" || type === "azblob") {
    throw apiError("OUTPUT_UNSUPPORTED", `write a cache of type ${type}: not supported`, {
      hint: "use type=registry, local, inline or s3; a local one can be kept by actions/cache",
      details: { type },
    });
  }
  if (type === "inline") {
    // How its layers are written is the image's matter; what else could be said here would count for nothing.
    for (const field of formFields) fields.refuse(field);
    const form = readForm(fields);
    fields.refuseRest();
    // All that fits into an image is the image's: BuildKit takes max here, too, and means min.
    return { ...form, type, mode: "min" };
  }
  const form = readForm(fields);
  const reset = type === "local" && (fields.takeBoolean("reset") ?? false);
  const place = readPlace(fields, { type, directoryField: "dest" });
  fields.refuseRest();
  return { ...form, type: "place", place, reset };
}

/** What says how layers and documents are written. */
const formFields = [
  "compression",
  "compression-level",
  "force-compression",
  "oci-mediatypes",
  "image-manifest",
];

function readForm(fields: Fields): CacheTargetForm {
  const mode = fields.takeOneOf("mode", ["min", "max"]) ?? "min";
  const { compression, compressionLevel, forceCompression } = parseCompression({
    compression: fields.take("compression"),
    compressionLevel: fields.take("compression-level"),
    forceCompression: fields.takeBoolean("force-compression"),
  });
  const ociTypes = fields.takeBoolean("oci-mediatypes") ?? true;
  const isImageManifest = fields.takeBoolean("image-manifest");
  if (!ociTypes && isImageManifest === true) {
    fields.fail("image-manifest is a matter of OCI media types: leave oci-mediatypes=false out");
  }
  return {
    mode,
    ...(compression === undefined ? {} : { compression }),
    ...(compressionLevel === undefined ? {} : { compressionLevel }),
    forceCompression: forceCompression ?? false,
    isImageManifest: ociTypes && (isImageManifest ?? true),
    dockerTypes: !ociTypes,
    ignoreError: fields.takeBoolean("ignore-error") ?? false,
  };
}

function readPlace(
  fields: Fields,
  { type, directoryField }: { readonly type: string; readonly directoryField: "src" | "dest" },
): CachePlaceSpec {
  switch (type) {
    case "registry": {
      const ref = fields.take("ref") ?? fields.fail("say which with ref=NAME");
      return { type, ref, isInsecure: fields.takeBoolean("registry.insecure") ?? false };
    }
    case "local": {
      const directory =
        fields.take(directoryField) || fields.fail(`say where with ${directoryField}=DIRECTORY`);
      const digest = directoryField === "src" ? fields.take("digest") : undefined;
      const tag = fields.take("tag") || "latest";
      return { type, directory, tag, ...(digest === undefined ? {} : { digest }) };
    }
    case "s3":
      return { type, fields: fields.takeAll() };
    default:
      return fields.fail("the types are registry, local, s3 and, for --cache-to, inline");
  }
}

/** Fields as one text that `parseCacheFrom` reads; undefined ones are left out. */
export function formatLocation(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]))
    .map((field) => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join();
}

/** Such a text for messages: of places in a bucket it may have keys, and of other places whatever people take for one. */
function withoutSecrets(text: string): string {
  return splitCsv(text)
    .map((field) => field.replace(/((?:key|secret|token|password)[^=]*=).*$/is, "$1***"))
    .join();
}

/** The fields of one place, each of which is taken once; what is left over was misspelt. */
class Fields extends TypedFields {
  readonly #text: string;
  readonly #flag: string;

  constructor(text: string, flag: string) {
    super();
    this.#text = text;
    this.#flag = flag;
    const parts = splitCsv(text);
    if (text === "") this.fail("name a place");
    if (parts.length === 1 && !text.includes("=")) {
      this.values.set("type", "registry").set("ref", text);
      return;
    }
    for (const part of parts) {
      const equals = part.indexOf("=");
      if (equals < 1) this.fail("write each field as key=value");
      this.put(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1));
    }
  }

  takeType(): string {
    return this.take("type") ?? this.fail("say what kind of place it is with type=…");
  }

  takeAll(): ReadonlyMap<string, string> {
    const all = new Map(this.values);
    this.values.clear();
    return all;
  }

  refuse(key: string): void {
    if (this.values.has(key)) this.fail(`there is no field ${key} for this type`);
  }

  refuseRest(): void {
    for (const left of this.values.keys()) this.refuse(left);
  }

  fail(hint: string): never {
    throw usageError(`read ${this.#flag} ${JSON.stringify(withoutSecrets(this.#text))}`, hint);
  }
}
