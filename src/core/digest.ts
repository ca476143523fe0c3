import { createHash, type Hash } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";
import { coreError, type TsbuildError } from "./errors.ts";

/** `sha256:<64 hex>` (or `sha512:<128 hex>`) of exact bytes. Branded so that it does not mix with other strings. */
export type Digest = string & { readonly __brand: "Digest" };

/** Digest of an uncompressed layer tar (`rootfs.diff_ids`). */
export type DiffId = Digest & { readonly __diffId: true };

/** Identity of a stack of layers: the digest over their diffIds as the OCI image spec, "Layer ChainID", defines it. */
export type ChainId = Digest & { readonly __chainId: true };

const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

/** @throws DIGEST_INVALID unless `text` is a sha256 or sha512 digest in canonical lower-case form. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw coreError("DIGEST_INVALID", `parse digest ${JSON.stringify(text.slice(0, 160))}`, {
    hint: "a digest is sha256: followed by 64 hexadecimal digits",
  });
}

export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(":");
  const length = hexLengths[text.slice(0, Math.max(colon, 0))];
  return length === text.length - colon - 1 && /^[0-9a-f]+$/.test(text.slice(colon + 1));
}

/** "sha256" of `sha256:abc…`. */
export function digestAlgorithm(digest: Digest): "sha256" | "sha512" {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The part behind the colon. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** First 12 hex digits, the form that people read. */
export function shortDigest(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}

export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

export function diffId(digest: Digest): DiffId {
  return digest as DiffId;
}

/** Digest of the JSON text of `value` with object keys in sorted order, so that equal values have equal digests. */
export function digestOfJson(value: unknown): Digest {
  return digestOf(canonicalJson(value));
}

/** JSON without white space and with sorted object keys. Undefined members are dropped. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    const sorted = Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return Object.fromEntries(sorted);
  });
}

/**
 * ChainId of layers given bottom first; undefined for no layer at all.
 * @see OCI image spec, config.md, "Layer ChainID"
 */
export function chainIdOf(diffIds: readonly DiffId[]): ChainId | undefined {
  let chain: string | undefined;
  for (const id of diffIds) chain = chain === undefined ? id : digestOf(`${chain} ${id}`);
  return chain as ChainId | undefined;
}

/** ChainId after putting one more layer on `parent`. */
export function extendChain(parent: ChainId | undefined, layer: DiffId): ChainId {
  return (parent === undefined ? layer : digestOf(`${parent} ${layer}`)) as ChainId;
}

/** Hashes and counts bytes that pass; `digest()` may be called once, at the end. */
export class Digester {
  readonly #hash: Hash;
  readonly #algorithm: string;
  size = 0;

  constructor(algorithm: "sha256" | "sha512" = "sha256") {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(chunk: Uint8Array): void {
    this.size += chunk.length;
    this.#hash.update(chunk);
  }

  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest("hex")}` as Digest;
  }
}

/**
 * A pass-through stream that fails unless exactly `expected` went through it. Too many bytes fail at once, so a
 * stranger cannot make us store more than was promised.
 * @throws DIGEST_MISMATCH, SIZE_MISMATCH (as stream errors) with details {expected, found, subject}
 */
export function createVerifier(
  expected: { readonly digest: Digest; readonly size?: number | undefined },
  subject: string,
): Transform {
  const digester = new Digester(digestAlgorithm(expected.digest));
  const { size } = expected;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done: TransformCallback): void {
      digester.update(chunk);
      if (size === undefined || digester.size <= size) done(null, chunk);
      else done(sizeMismatch(size, digester.size, subject));
    },
    flush(done: TransformCallback): void {
      const found = { size: digester.size, digest: digester.digest() };
      done(contentMismatch(expected, found, subject));
    },
  });
}

/** Streams that fail unless they are what their digest says, whoever reads them. */
const vouched = new WeakMap<object, Digest>();

/**
 * Says that `content` verifies itself, digest and size, so that nobody hashes half a gigabyte twice. To be called by whoever
 * put the verifier there; anything that is wrapped around the stream is hashed again.
 */
export function vouchFor<Content extends object>(content: Content, digest: Digest): Content {
  vouched.set(content, digest);
  return content;
}

/** Whether `content` fails by itself unless it is what `digest` says. */
export function isVouchedFor(content: object, digest: Digest): boolean {
  return vouched.get(content) === digest;
}

export function digestMismatch(expected: Digest, found: Digest, subject: string): TsbuildError {
  return coreError("DIGEST_MISMATCH", `verify ${subject}: digest mismatch, found ${found}`, {
    hint: "the data was damaged or replaced on its way; try again, then ask whoever serves it",
    details: { expected, found, subject },
  });
}

function sizeMismatch(expected: number, found: number, subject: string): TsbuildError {
  return coreError("SIZE_MISMATCH", `read ${subject}: ${String(expected)} bytes were promised`, {
    details: { expected, found, subject },
  });
}

/** SIZE_MISMATCH or DIGEST_MISMATCH, whichever it is; undefined for the right content. */
export function contentMismatch(
  expected: { readonly digest: Digest; readonly size?: number | undefined },
  found: { readonly digest: Digest; readonly size: number },
  subject: string,
): TsbuildError | undefined {
  if (expected.size !== undefined && found.size !== expected.size) {
    return sizeMismatch(expected.size, found.size, subject);
  }
  if (found.digest === expected.digest) return undefined;
  return digestMismatch(expected.digest, found.digest, subject);
}

/** @throws DIGEST_MISMATCH, SIZE_MISMATCH unless the bytes are exactly the promised ones. */
export function verifyBytes(
  bytes: Uint8Array,
  expected: { readonly digest: Digest; readonly size?: number | undefined },
  subject: string,
): void {
  const digester = new Digester(digestAlgorithm(expected.digest));
  digester.update(bytes);
  const found = { digest: digester.digest(), size: bytes.length };
  const mismatch = contentMismatch(expected, found, subject);
  if (mismatch !== undefined) throw mismatch;
}
