import type { Platform } from "../core/index.ts";
import {
  invalidField,
  openJson,
  readDigest,
  readDoor,
  readInteger,
  readStringMap,
  readStrings,
  readText,
  type JsonDoor,
} from "./json-door.ts";
import { wireList, wireMap, type WireValue } from "./json-writer.ts";
import type { Descriptor } from "./types.ts";

const maxDescriptorSize = 1024 * 1024;

/** @throws IMAGE_INVALID */
export function parseDescriptor(door: JsonDoor): Descriptor {
  const mediaType = readText(door, "mediaType");
  if (mediaType === undefined) throw invalidField(door, "mediaType", "a media type");
  const size = readInteger(door, "size");
  if (size === undefined || size < 0) throw invalidField(door, "size", "a number of bytes");
  const platform = readDoor(door, "platform");
  return withoutUndefined({
    mediaType,
    digest: readDigest(door, "digest"),
    size,
    urls: readStrings(door, "urls"),
    annotations: readStringMap(door, "annotations"),
    platform: platform === undefined ? undefined : parseWirePlatform(platform),
    artifactType: readText(door, "artifactType"),
    data: readText(door, "data"),
  });
}

/** A descriptor that stands alone, as people paste it. @throws IMAGE_INVALID */
export function parseDescriptorJson(text: string): Descriptor {
  return parseDescriptor(openJson(Buffer.from(text), "descriptor", maxDescriptorSize));
}

/** A descriptor in wire spelling, with fields in the order of the Go structure that most writers use. */
export function descriptorToWire(descriptor: Descriptor): WireValue {
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    urls: wireList(descriptor.urls),
    annotations: wireMap(descriptor.annotations),
    data: descriptor.data,
    platform: descriptor.platform === undefined ? undefined : platformToWire(descriptor.platform),
    artifactType: descriptor.artifactType,
  };
}

/** The bare minimum of a descriptor: what the content is, without what one document says about it. */
export function plainDescriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

/** Drops members that are undefined, for types whose optional members must be absent. */
export function withoutUndefined<T extends object>(value: T): Compact<T> {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as Compact<T>;
}

/** `T` with every member that may be undefined made optional instead. */
export type Compact<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function parseWirePlatform(door: JsonDoor): Platform {
  return withoutUndefined({
    os: readText(door, "os") ?? "unknown",
    architecture: readText(door, "architecture") ?? "unknown",
    variant: readText(door, "variant"),
    osVersion: readText(door, "os.version"),
    osFeatures: readStrings(door, "os.features"),
  });
}

function platformToWire(platform: Platform): WireValue {
  return {
    architecture: platform.architecture,
    os: platform.os,
    "os.version": platform.osVersion,
    "os.features": wireList(platform.osFeatures),
    variant: platform.variant,
  };
}
