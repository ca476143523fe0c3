import { searchableValues } from "./searchable-values.ts";
import { formsOf, type Pattern, type SecretForm } from "./secret-forms.ts";
import { PatternIndex, type Found } from "./pattern-index.ts";

/** A secret that was met, and in which form. */
export interface Sighting {
  /** Id of the secret. */
  readonly secret: string;
  readonly form: SecretForm;
}

interface SecretPattern extends Pattern {
  readonly secret: string;
}

/** Looks for the secrets of one build. */
export interface SecretSearch {
  /** Secrets that nobody looks for, and why. */
  readonly skipped: readonly { readonly secret: string; readonly why: string }[];
  /** Each secret in each form at most once. */
  find(bytes: Uint8Array): readonly Sighting[];
  /** The same for a text that comes in pieces; what `push` returns was not returned before. */
  openStream(): { push(piece: Uint8Array): readonly Sighting[] };
  /** The same bytes with `****` in the place of every secret. */
  blotOut(bytes: Buffer): Buffer;
}

/** @param secrets contents by id */
export function openSecretSearch(secrets: ReadonlyMap<string, Buffer>): SecretSearch {
  const skipped: { secret: string; why: string }[] = [];
  const patterns: SecretPattern[] = [];
  for (const [secret, content] of secrets) {
    const { values, skipped: why } = searchableValues(content);
    if (why !== undefined) skipped.push({ secret, why });
    for (const value of values) {
      patterns.push(...formsOf(value).map((pattern) => ({ ...pattern, secret })));
    }
  }
  const index = new PatternIndex(patterns);
  const find = (bytes: Uint8Array): readonly Sighting[] => {
    const sightings = new Map<string, Sighting>();
    index.find(bytes, ({ pattern: { secret, form } }) => {
      sightings.set(`${form} ${secret}`, { secret, form });
    });
    return [...sightings.values()];
  };
  return {
    skipped,
    find,
    openStream: () => openStream(find, index.longest - 1),
    blotOut: (bytes) => blotOut(bytes, index),
  };
}

/** The end of each piece is looked at again with the next one: a secret may stand across both. */
function openStream(
  find: (bytes: Uint8Array) => readonly Sighting[],
  overlap: number,
): ReturnType<SecretSearch["openStream"]> {
  const known = new Set<string>();
  let rest = Buffer.alloc(0);
  return {
    push: (piece) => {
      const text = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      // A copy: whoever gave the piece may use its place again.
      rest = Buffer.from(text.subarray(Math.max(0, text.length - overlap)));
      const found = find(text).filter(({ secret, form }) => !known.has(`${form} ${secret}`));
      for (const { secret, form } of found) known.add(`${form} ${secret}`);
      return found;
    },
  };
}

function blotOut(bytes: Buffer, index: PatternIndex<SecretPattern>): Buffer {
  const places: Found<SecretPattern>[] = [];
  index.find(bytes, (found) => places.push(found));
  if (places.length === 0) return bytes;
  const parts: Buffer[] = [];
  let end = 0;
  for (const place of places.sort((a, b) => a.start - b.start)) {
    if (place.start >= end) parts.push(bytes.subarray(end, place.start), blot);
    end = Math.max(end, place.end);
  }
  return Buffer.concat([...parts, bytes.subarray(end)]);
}

const blot = Buffer.from("****");
