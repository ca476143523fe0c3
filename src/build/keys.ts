import { isDeepStrictEqual } from "node:util";
import type { CacheKeyObject, FieldLines, KeyField } from "../cache/index.ts";
import { digestOf, digestOfJson, type Digest, type JsonValue } from "../core/index.ts";
import { formatPlatform, unreachable } from "../core/index.ts";
import { fileLines, selectionDigest, type FileDigest } from "../context/index.ts";
import type { CopyOp, CopySource, ExecMount, ExecOp, Op, RunSettings } from "../plan/index.ts";

/** A cache key: the object that can be compared and explained, and the digest that names the record. */
export interface CacheKey {
  readonly digest: Digest;
  readonly object: CacheKeyObject;
}

/** Fields in their order, or those of the files that are read from one source. */
export type KeyPart = readonly KeyField[] | FileFields;

/** The fields of single files are for explanations: they are not hashed one by one. */
export function makeKey(kind: CacheKeyObject["kind"], parts: readonly KeyPart[]): CacheKey {
  const fields = { [Symbol.iterator]: () => allFields(parts), lines: () => allLines(parts) };
  return { object: { version: 1, kind, fields }, digest: digestOfJson(hashedFields(kind, parts)) };
}

function* allFields(parts: readonly KeyPart[]): Generator<KeyField, void, undefined> {
  for (const part of parts) yield* part;
}

function* allLines(parts: readonly KeyPart[]): Generator<FieldLines, void, undefined> {
  for (const part of parts) {
    if (part instanceof FileFields) yield* part.lines();
    else yield { text: part.map(lineOf).join(""), count: part.length };
  }
}

function lineOf(field: KeyField): string {
  return `${JSON.stringify(field)}\n`;
}

function hashedFields(kind: CacheKeyObject["kind"], parts: readonly KeyPart[]): JsonValue {
  const fields = parts.flatMap((part) => (part instanceof FileFields ? [part.all] : part));
  return { version: 1, kind, fields: fields.map((field) => ({ ...field })) };
}

/** Whether both are made of the same files and fields. */
export function isSameRead(a: readonly KeyPart[], b: readonly KeyPart[]): boolean {
  return isDeepStrictEqual(hashedFields("content", a), hashedFields("content", b));
}

/**
 * What an op itself says, in the order in which a reader would ask: the instruction first, then its surroundings.
 * Everything that determines the result is here or in the inputs; nothing else is.
 */
export function opFields(op: Op, implicitTime: bigint): KeyField[] {
  switch (op.type) {
    case "image":
      return [
        { name: "image", value: op.imageId },
        { name: "platform", value: formatPlatform(op.platform) },
      ];
    case "scratch":
      return [{ name: "scratch", value: true }];
    case "context":
      return [{ name: "context", value: op.name }];
    case "http":
      // With a checksum it does not matter where the file comes from.
      return op.checksum === undefined
        ? [{ name: "url", value: op.url }]
        : [{ name: "download", value: [op.fileName, op.checksum] }];
    case "git":
      // Known by its commit, which has to be asked for: see solve.
      return [];
    case "exec":
      return execFields(op);
    case "copy":
      return copyFields(op, implicitTime);
    case "merge":
      return [{ name: "instruction", value: ["MERGE"] }];
    case "mkdir":
      return [
        { name: "instruction", value: ["WORKDIR", op.path] },
        { name: "user", value: op.user },
        { name: "time", value: String(implicitTime) },
      ];
    default:
      return unreachable(op);
  }
}

function execFields(op: ExecOp): KeyField[] {
  return [
    { name: "instruction", value: ["RUN", ...op.argv] },
    ...op.scripts.map((script) => ({
      name: `script:${script.name}`,
      value: digestOf(script.content),
    })),
    ...op.env.map((variable) => {
      const equals = variable.indexOf("=");
      return {
        name: `env.${variable.slice(0, equals)}`,
        value: variable.slice(equals + 1),
      };
    }),
    { name: "cwd", value: op.cwd },
    { name: "user", value: op.user },
    { name: "network", value: op.network },
    { name: "security", value: op.security },
    { name: "platform", value: formatPlatform(op.platform) },
    { name: "mounts", value: op.mounts.map(mountKey) },
    ...settingsFields(op.settings ?? {}),
  ];
}

/**
 * What of a mount decides about the result. Contents enter by their checksums; secrets, agents and caches are not to
 * matter, nor how a cache is shared.
 */
function mountKey(mount: ExecMount): JsonValue {
  switch (mount.type) {
    case "bind":
    case "tmpfs":
      return { ...mount };
    case "cache": {
      const { type, target, readOnly } = mount;
      return { type, target, readOnly };
    }
    case "secret":
    case "ssh":
      return { ...mount };
    default:
      return unreachable(mount);
  }
}

/** Addresses of hosts may change; which names there are may not. */
function settingsFields(settings: RunSettings): KeyField[] {
  const { extraHosts, ...others } = settings;
  return [
    ...(extraHosts === undefined
      ? []
      : [{ name: "extraHosts", value: extraHosts.map(({ name }) => name) }]),
    ...Object.entries(others).map(([name, value]) => ({ name, value })),
  ];
}

function copyFields(op: CopyOp, implicitTime: bigint): KeyField[] {
  return [
    {
      name: "instruction",
      value: [op.instruction, ...op.sources.map(describeSource), op.destination],
    },
    { name: "chown", value: op.chown ?? null },
    { name: "chmod", value: op.chmod ?? null },
    { name: "link", value: op.link },
    { name: "parents", value: op.parents },
    { name: "exclude", value: op.exclude },
    { name: "time", value: String(implicitTime) },
  ];
}

function describeSource(source: CopySource): JsonValue {
  if (source.type === "inline") return { heredoc: source.name, digest: digestOf(source.content) };
  const { pattern, unpack, keepOwner, fromUrl } = source;
  return { pattern, unpack, keepOwner, fromUrl };
}

/**
 * One field a file, so that a later look can name the file that changed, and one for the digest of all. The objects are
 * made when they are looked at: those of 200,000 files would take a hundred megabytes.
 */
export class FileFields implements Iterable<KeyField> {
  /** What decides about the key. */
  readonly all: KeyField;
  readonly #source: number;
  readonly #files: Iterable<FileDigest>;

  constructor(source: number, files: Iterable<FileDigest>) {
    this.#source = source;
    this.#files = files;
    this.all = { name: `files.${String(source)}`, value: selectionDigest(files) };
  }

  *[Symbol.iterator](): Generator<KeyField, void, undefined> {
    const source = this.#source;
    for (const { path, digest, mode } of this.#files)
      yield { name: `file:${path}`, value: { source, digest, mode } };
    yield this.all;
  }

  /** The fields as JSON, made at once from what is kept. */
  *lines(): Generator<FieldLines, void, undefined> {
    const start = `","value":{"source":${String(this.#source)},"digest":"`;
    yield* fileLines(this.#files, ({ path, isPlain, digest, mode }) => {
      const name = isPlain ? path : JSON.stringify(path).slice(1, -1);
      return `{"name":"file:${name}${start}${digest}","mode":${String(mode)}}}\n`;
    });
    yield { text: lineOf(this.all), count: 1 };
  }
}
