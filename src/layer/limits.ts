import { parseSize } from "../core/index.ts";
import { layerError } from "./errors.ts";

/** How much of a stranger's archive is taken. Beyond it is a bomb: small where it comes from, and larger than the disk. */
export interface ArchiveLimits {
  /** Of the archive when it is decompressed; the sparse files in it may have as many again. */
  readonly bytes: number;
  readonly entries: number;
  /** Of names and attributes that do not fit into the headers of their entries, in the whole archive. */
  readonly extensionBytes: number;
}

/** Of one header's records, name or map, in bytes; Go's readers, and so docker's, draw the line at the same size. */
export const maxExtensionSize = 1024 * 1024;

const gibibyte = 1024 ** 3;
const defaults: ArchiveLimits = {
  bytes: 128 * gibibyte,
  entries: 5_000_000,
  extensionBytes: gibibyte,
};

/**
 * The limits for layers, archives that ADD unpacks, contexts in archives, and saved images: `TSBUILD_MAX_UNPACKED_SIZE`
 * (`200g`) and `TSBUILD_MAX_ENTRIES` set them, for each archive.
 * @throws LAYER_LIMIT_INVALID
 */
export function archiveLimits(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ArchiveLimits {
  const read = (name: string, fallback: number): number => {
    const text = environment[name];
    if (text === undefined || text === "") return fallback;
    const value = parseSize(text);
    if (value === undefined) throw invalid(name, text);
    return value;
  };
  return {
    bytes: read("TSBUILD_MAX_UNPACKED_SIZE", defaults.bytes),
    entries: read("TSBUILD_MAX_ENTRIES", defaults.entries),
    extensionBytes: defaults.extensionBytes,
  };
}

/** LAYER_LIMIT_EXCEEDED. */
export function beyondLimit(
  what: string,
  limit: { readonly value: number; readonly setting?: string },
): Error {
  const { value, setting } = limit;
  const trust = "the archive may be made to fill the disk";
  const hint = setting === undefined ? trust : `${trust}; if you trust it, set ${setting} higher`;
  return layerError("LAYER_LIMIT_EXCEEDED", `read archive: ${what}`, {
    hint,
    details: { limit: value, setting },
  });
}

/** LAYER_LIMIT_EXCEEDED of one extension header or map. */
export function extensionTooLarge(entry: string, size: number): Error {
  return layerError("LAYER_LIMIT_EXCEEDED", `read tar header ${entry}: it is too large`, {
    details: { entry, size, limit: maxExtensionSize },
  });
}

function invalid(name: string, found: string): Error {
  return layerError("LAYER_LIMIT_INVALID", `read ${name}: ${JSON.stringify(found)} is no number`, {
    hint: "write for example 200g, or 10000000",
    details: { setting: name, found },
  });
}
