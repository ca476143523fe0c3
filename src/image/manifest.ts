import { isIndexType, isManifestType, mediaTypes } from "../core/index.ts";
import { descriptorToWire, parseDescriptor, withoutUndefined } from "./descriptor.ts";
import { imageError } from "./errors.ts";
import {
  fieldOf,
  invalidField,
  openJson,
  readDoor,
  readDoors,
  readInteger,
  readStringMap,
  readText,
  type JsonDoor,
} from "./json-door.ts";
import { wireMap, writeJson } from "./json-writer.ts";
import type { Index, Manifest } from "./types.ts";

/** Largest manifest or index that is read, in bytes: what registries have to take (distribution-spec, "Pushing Manifests"). */
export const maxManifestSize = 4 * 1024 * 1024;

/** Either document that a registry serves under `/manifests/`. */
export type ManifestOrIndex =
  | { readonly type: "manifest"; readonly manifest: Manifest }
  | { readonly type: "index"; readonly index: Index };

/**
 * Reads a manifest or an index, whichever it is. `mediaType` is what its descriptor or server called it; a document
 * that calls itself something else is refused, and so is one that could be read as both (CVE-2021-41190).
 * @throws IMAGE_INVALID, IMAGE_SCHEMA1, IMAGE_TOO_LARGE
 */
export function parseManifestOrIndex(bytes: Uint8Array, mediaType?: string): ManifestOrIndex {
  const door = openJson(bytes, "image manifest", maxManifestSize);
  refuseSchema1(door, mediaType);
  const type = documentType(door, mediaType);
  if (isIndexType(type)) return { type: "index", index: readIndex(door, type) };
  if (isManifestType(type)) return { type: "manifest", manifest: readManifest(door, type) };
  throw imageError("IMAGE_INVALID", `read image manifest of type ${JSON.stringify(type)}`, {
    hint: "only OCI and Docker schema 2 images are known",
    details: { found: type },
  });
}

/** @throws IMAGE_INVALID (also for an index), IMAGE_SCHEMA1, IMAGE_TOO_LARGE */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  const document = parseManifestOrIndex(bytes, mediaType);
  if (document.type === "manifest") return document.manifest;
  throw imageError("IMAGE_INVALID", "read image manifest: it is an index of several images");
}

/** @throws IMAGE_INVALID (also for a manifest), IMAGE_SCHEMA1, IMAGE_TOO_LARGE */
export function parseIndex(bytes: Uint8Array, mediaType?: string): Index {
  const document = parseManifestOrIndex(bytes, mediaType);
  if (document.type === "index") return document.index;
  throw imageError("IMAGE_INVALID", "read image index: it is the manifest of one image");
}

/** The document as BuildKit writes it: two spaces of indent, fields in the order of the OCI Go types. */
export function serializeManifest(manifest: Manifest): Buffer {
  return writeJson(
    {
      schemaVersion: 2,
      mediaType: manifest.mediaType,
      artifactType: manifest.artifactType,
      config: descriptorToWire(manifest.config),
      layers: manifest.layers.map(descriptorToWire),
      subject: manifest.subject === undefined ? undefined : descriptorToWire(manifest.subject),
      annotations: wireMap(manifest.annotations),
    },
    2,
  );
}

/** The document as BuildKit writes it: two spaces of indent, fields in the order of the OCI Go types. */
export function serializeIndex(index: Index): Buffer {
  return writeJson(
    {
      schemaVersion: 2,
      mediaType: index.mediaType,
      artifactType: index.artifactType,
      manifests: index.manifests.map(descriptorToWire),
      subject: index.subject === undefined ? undefined : descriptorToWire(index.subject),
      annotations: wireMap(index.annotations),
    },
    2,
  );
}

function readManifest(door: JsonDoor, mediaType: string): Manifest {
  const config = readDoor(door, "config");
  if (config === undefined) throw invalidField(door, "config", "a descriptor");
  return withoutUndefined({
    mediaType,
    config: parseDescriptor(config),
    layers: (readDoors(door, "layers") ?? []).map(parseDescriptor),
    ...readCommon(door),
  });
}

function readIndex(door: JsonDoor, mediaType: string): Index {
  const manifests = readDoors(door, "manifests");
  if (manifests === undefined) throw invalidField(door, "manifests", "a list of descriptors");
  return withoutUndefined({
    mediaType,
    manifests: manifests.map(parseDescriptor),
    ...readCommon(door),
  });
}

function readCommon(door: JsonDoor) {
  const subject = readDoor(door, "subject");
  return {
    annotations: readStringMap(door, "annotations"),
    subject: subject === undefined ? undefined : parseDescriptor(subject),
    artifactType: readText(door, "artifactType"),
  };
}

function refuseSchema1(door: JsonDoor, given: string | undefined): void {
  const types: readonly (string | undefined)[] = [given, readText(door, "mediaType")];
  const isSchema1 =
    readInteger(door, "schemaVersion") === 1 ||
    types.includes(mediaTypes.dockerSchema1) ||
    types.includes(mediaTypes.dockerSchema1Signed);
  if (!isSchema1) return;
  throw imageError(
    "IMAGE_SCHEMA1",
    "read image manifest: it is Docker schema 1, which is obsolete",
    {
      hint: "rebuild the image, or push it again with a current tool",
    },
  );
}

function documentType(door: JsonDoor, given: string | undefined): string {
  const own = readText(door, "mediaType");
  if (own !== undefined && given !== undefined && own !== given) {
    throw imageError("IMAGE_INVALID", `read image manifest: it says to be of another type`, {
      details: { expected: given, found: own },
    });
  }
  const type = own ?? given ?? guessType(door);
  refuseAmbiguous(door, type);
  return type;
}

function refuseAmbiguous(door: JsonDoor, type: string): void {
  const foreign = isIndexType(type) ? ["config", "layers", "fsLayers"] : ["manifests", "fsLayers"];
  const found = foreign.find((name) => fieldOf(door, name) !== undefined);
  if (found === undefined) return;
  throw imageError("IMAGE_INVALID", `read image manifest: ${type} must not have ${found}`, {
    hint: "the document can be read as two different things, which is never an accident",
    details: { field: found, mediaType: type },
  });
}

/** OCI layouts of old tools leave the type out. */
function guessType(door: JsonDoor): string {
  if (fieldOf(door, "manifests") !== undefined) return mediaTypes.ociIndex;
  const config = readDoor(door, "config");
  const isDocker =
    config !== undefined && readText(config, "mediaType") === mediaTypes.dockerConfig;
  return isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
}
