import { isDigest } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { asObject } from "./json-file.ts";
import type { NameRecord } from "./types.ts";

/** A descriptor as this program writes it into its own records; undefined when its three required members are not there. */
export function parseDescriptorRecord(value: unknown): Descriptor | undefined {
  const object = asObject(value);
  const { mediaType, digest, size } = object ?? {};
  if (typeof mediaType !== "string" || typeof digest !== "string" || !isDigest(digest)) return;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return undefined;
  return { ...object, mediaType, digest, size };
}

/** undefined when the record is damaged. */
export function parseNameRecord(value: unknown): NameRecord | undefined {
  const { name, descriptor: stored, repoDigest, updated } = asObject(value) ?? {};
  const descriptor = parseDescriptorRecord(stored);
  if (typeof name !== "string" || typeof updated !== "string") return undefined;
  if (descriptor === undefined) return undefined;
  if (typeof repoDigest !== "string" || !isDigest(repoDigest)) return { name, descriptor, updated };
  return { name, descriptor, repoDigest, updated };
}
