import { splitCsv } from "../../core/index.ts";
import { apiError, usageError } from "../errors.ts";
import { parseAnnotationField } from "./annotations.ts";
import { parseCompression, type CompressionChoice } from "./compression.ts";
import { TypedFields } from "../typed-fields.ts";
import type { Annotation, ImageForm, OutputSpec } from "./types.ts";

/**
 * Reads `-o`: a directory, `-` for a tar on standard output, or `type=…` with fields, comma-separated.
 * @throws USAGE; OUTPUT_UNSUPPORTED for what an image can be elsewhere, but not here
 * @see docs/spec/dockerfile.md, 7.1 to 7.4
 */
export function parseOutput(text: string): OutputSpec {
  const parts = splitCsv(text);
  if (parts.length === 1 && parts[0] === text && !text.startsWith("type=")) {
    if (text === "") throw invalidOutput(text);
    if (text === "-") return { type: "tar", destination: "-" };
    return { type: "local", destination: text, mode: "copy" };
  }
  const fields = new Fields(text, parts);
  const output = readOutput(fields);
  fields.refuseRest();
  return output;
}

function readOutput(fields: Fields): OutputSpec {
  const type = fields.take("type");
  switch (type) {
    case "local":
      return {
        type,
        destination: fields.takeDestination() ?? fields.fail("say where to with dest=DIRECTORY"),
        mode: fields.takeOneOf("mode", ["copy", "delete"]) ?? "copy",
        ...splitting(fields),
      };
    case "tar":
      return { type, destination: fields.takeDestination() ?? "-", ...splitting(fields) };
    case "oci": {
      const isTar = fields.takeBoolean("tar") ?? true;
      const destination = fields.takeDestination() ?? "-";
      if (!isTar && destination === "-") fields.fail("say where to with dest=DIRECTORY");
      return { type, destination, isTar, form: readForm(fields) };
    }
    case "docker": {
      if (fields.takeBoolean("tar") === false) fields.refuse("tar=false", "use type=oci,tar=false");
      if (fields.take("context") !== undefined) fields.refuse("context", "leave it out");
      const destination = fields.takeDestination();
      const form = readForm(fields);
      if (destination !== undefined) return { type, destination, isTar: true, form };
      return { ...storeOutput, form };
    }
    case "registry":
      return readImageOutput(fields, true);
    case "image":
      return readImageOutput(fields, false);
    case "cacheonly":
      return { type };
    case undefined:
      return fields.fail("say what to write with type=image, local, tar, oci, docker or registry");
    default:
      return fields.fail("the types are image, registry, local, tar, oci, docker and cacheonly");
  }
}

/** The image in the store: what a build does unless it is told otherwise. */
export const storeOutput = {
  ...{ type: "image", push: false, pushByDigest: false, isInsecure: false, store: true },
  form: {
    forceCompression: false,
    dockerTypes: false,
    annotations: [],
    rewriteTimestamp: false,
  },
} as const satisfies OutputSpec;

function splitting(fields: Fields): { readonly platformSplit?: boolean } {
  const platformSplit = fields.takeBoolean("platform-split");
  return platformSplit === undefined ? {} : { platformSplit };
}

function readImageOutput(fields: Fields, isRegistry: boolean): OutputSpec {
  const pushByDigest = fields.takeBoolean("push-by-digest") ?? false;
  const push = (fields.takeBoolean("push") ?? isRegistry) || pushByDigest;
  const isInsecure = fields.takeBoolean("registry.insecure") ?? false;
  const store = fields.takeBoolean("store") ?? true;
  const danglingPrefix = fields.take("dangling-name-prefix");
  // Layers that are built here are files already.
  fields.takeBoolean("unpack");
  if (fields.takeBoolean("name-canonical") === true) {
    fields.refuse("name-canonical", "use push-by-digest=true, or refer to the digest that is told");
  }
  return {
    ...{ type: "image", push, pushByDigest, isInsecure, store },
    ...(danglingPrefix === undefined ? {} : { danglingPrefix }),
    form: readForm(fields),
  };
}

function readForm(fields: Fields): ImageForm {
  const names = fields.take("name");
  const choice = fields.takeCompression();
  if (fields.takeBoolean("prefer-nondist-layers") === true) {
    fields.refuse("prefer-nondist-layers", "leave it out: such layers are not sent");
  }
  // Of attestations alone.
  fields.takeBoolean("oci-artifact");
  return {
    ...(names === undefined ? {} : { names: names.split(",").filter((name) => name !== "") }),
    forceCompression: false,
    ...choice,
    // Docker's media types know no zstd, so that asking for it is asking for OCI's.
    dockerTypes: !(fields.takeBoolean("oci-mediatypes") ?? true) && choice.compression !== "zstd",
    rewriteTimestamp: fields.takeBoolean("rewrite-timestamp") ?? false,
    annotations: fields.takeAnnotations(),
  };
}

/** The fields of an output, each of which is taken once; what is left over was misspelt. */
class Fields extends TypedFields {
  readonly #text: string;

  constructor(text: string, parts: readonly string[]) {
    super();
    this.#text = text;
    for (const part of parts) {
      const equals = part.indexOf("=");
      if (equals < 1) this.fail("write each field as key=value");
      const key = part.slice(0, equals).trim();
      const value = part.slice(equals + 1);
      this.put(key.startsWith("annotation") ? key : key.toLowerCase(), value);
    }
  }

  takeDestination(): string | undefined {
    const destination = this.take("dest") ?? this.take("destination") ?? this.take("output");
    if (destination === "") this.fail("dest is empty");
    return destination;
  }

  takeCompression(): CompressionChoice {
    return parseCompression({
      compression: this.take("compression"),
      compressionLevel: this.take("compression-level"),
      forceCompression: this.takeBoolean("force-compression"),
    });
  }

  takeAnnotations(): readonly Annotation[] {
    return [...this.values].flatMap(([key, value]) => {
      const annotation = parseAnnotationField(key, value);
      if (annotation !== undefined) this.values.delete(key);
      return annotation ?? [];
    });
  }

  refuseRest(): void {
    const [left] = this.values.keys();
    if (left !== undefined) this.fail(`there is no field ${left} for this type`);
  }

  fail(hint: string): never {
    throw invalidOutput(this.#text, hint);
  }

  refuse(what: string, hint: string): never {
    throw apiError("OUTPUT_UNSUPPORTED", `write output with ${what}: not supported`, {
      hint,
      details: { output: this.#text },
    });
  }
}

function invalidOutput(text: string, hint = "write -o DIRECTORY or -o type=…,dest=FILE"): Error {
  return usageError(`read output ${JSON.stringify(text)}`, hint);
}
