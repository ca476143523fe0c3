import { isDigest, type Digest } from "../core/index.ts";
import { imageError } from "./errors.ts";

/** A JSON object from a stranger, with the words by which errors name it. Fields that are null count as absent. */
export interface JsonDoor {
  readonly object: Readonly<Record<string, unknown>>;
  /** Such as `image config` or `image manifest, layers[2]`. */
  readonly subject: string;
}

/** @throws IMAGE_INVALID unless the bytes are one JSON object; IMAGE_TOO_LARGE over `limit` bytes */
export function openJson(bytes: Uint8Array, subject: string, limit: number): JsonDoor {
  if (bytes.length > limit) {
    throw imageError("IMAGE_TOO_LARGE", `read ${subject} of ${String(bytes.length)} bytes`, {
      details: { limit, found: bytes.length },
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw imageError("IMAGE_INVALID", `read ${subject}: it is not JSON`, { cause });
  }
  if (!isObject(value)) throw imageError("IMAGE_INVALID", `read ${subject}: it is no JSON object`);
  return { object: value, subject };
}

export function invalidField(door: JsonDoor, name: string, expected: string): Error {
  return imageError("IMAGE_INVALID", `read ${door.subject}: ${name} must be ${expected}`, {
    details: { field: name, expected },
  });
}

/** The value of a field, if it is there and not null. */
export function fieldOf(door: JsonDoor, name: string): unknown {
  return Object.hasOwn(door.object, name) ? (door.object[name] ?? undefined) : undefined;
}

export function readString(door: JsonDoor, name: string): string | undefined {
  const value = fieldOf(door, name);
  if (value === undefined || typeof value === "string") return value;
  throw invalidField(door, name, "a string");
}

/** Like `readString`, with an empty string as absent too: Go's writers leave zero values in places. */
export function readText(door: JsonDoor, name: string): string | undefined {
  return readString(door, name) || undefined;
}

export function readBoolean(door: JsonDoor, name: string): boolean | undefined {
  const value = fieldOf(door, name);
  if (value === undefined || typeof value === "boolean") return value;
  throw invalidField(door, name, "true or false");
}

export function readInteger(door: JsonDoor, name: string): number | undefined {
  const value = fieldOf(door, name);
  if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value)))
    return value;
  throw invalidField(door, name, "an integer");
}

export function readStrings(door: JsonDoor, name: string): readonly string[] | undefined {
  const value = fieldOf(door, name);
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw invalidField(door, name, "a list of strings");
}

export function readStringMap(
  door: JsonDoor,
  name: string,
): Readonly<Record<string, string>> | undefined {
  const value = fieldOf(door, name);
  if (value === undefined) return undefined;
  if (isObject(value) && isStringMap(value)) return value;
  throw invalidField(door, name, "an object of strings");
}

/** Keys of an object whose values say nothing, such as `ExposedPorts`; sorted. */
export function readKeys(door: JsonDoor, name: string): readonly string[] | undefined {
  const value = fieldOf(door, name);
  if (value === undefined) return undefined;
  if (isObject(value)) return Object.keys(value).sort(compareText);
  throw invalidField(door, name, "an object");
}

export function readDigest(door: JsonDoor, name: string): Digest {
  const value = fieldOf(door, name);
  if (typeof value === "string" && isDigest(value)) return value;
  throw invalidField(door, name, "a sha256 or sha512 digest");
}

export function readDoor(door: JsonDoor, name: string): JsonDoor | undefined {
  const value = fieldOf(door, name);
  if (value === undefined) return undefined;
  if (isObject(value)) return { object: value, subject: `${door.subject}, ${name}` };
  throw invalidField(door, name, "an object");
}

export function readDoors(door: JsonDoor, name: string): readonly JsonDoor[] | undefined {
  const value = fieldOf(door, name);
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalidField(door, name, "a list");
  return value.map((item: unknown, index) => {
    if (isObject(item))
      return { object: item, subject: `${door.subject}, ${name}[${String(index)}]` };
    throw invalidField(door, `${name}[${String(index)}]`, "an object");
  });
}

/** Order of the code points, which is the byte order of UTF-8 (`<` on strings is not, above U+FFFF). */
export function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStringMap(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, string>> {
  return Object.values(value).every((item) => typeof item === "string");
}
