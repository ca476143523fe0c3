import {
  familiarReference,
  formatReference,
  isTsbuildError,
  parseReference,
  withDefaultTag,
  type Digest,
  type Reference,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";

/** Whole name of an image, as containerd and Docker write and read it. */
export const nameAnnotation = "io.containerd.image.name";
/** Marks entries that are signatures or the like of another entry: its digest. */
export const subjectAnnotation = "io.containerd.manifest.subject";
/** Tag of an image by the OCI layout's own rules; tools differ in whether it may be a whole name. */
export const refNameAnnotation = "org.opencontainers.image.ref.name";

/**
 * The name that an entry of an `index.json` gives its image, normalised; undefined for none. A whole name wins over
 * a tag; a tag alone needs a repository.
 */
export function nameOfEntry(
  { annotations = {} }: Descriptor,
  repository: string | undefined,
): string | undefined {
  const whole = annotations[nameAnnotation];
  if (whole !== undefined) return normalize(whole);
  const ref = annotations[refNameAnnotation];
  if (ref === undefined || ref === "") return undefined;
  if (/[:/@]/.test(ref)) return normalize(ref);
  return repository === undefined ? undefined : normalize(`${repository}:${ref}`);
}

/** The descriptor as an entry of `index.json` under a name. */
export function namedEntry(descriptor: Descriptor, reference: Reference): Descriptor {
  const name = formatReference(reference);
  return {
    ...descriptor,
    annotations: {
      ...descriptor.annotations,
      [nameAnnotation]: name,
      [refNameAnnotation]: reference.tag ?? name,
    },
  };
}

/** The descriptor as an entry that says only what the layout's own rule knows. */
export function calledEntry(descriptor: Descriptor, ref: string): Descriptor {
  return {
    ...descriptor,
    annotations: { ...descriptor.annotations, [refNameAnnotation]: ref },
  };
}

/** The descriptor as an entry that is about another one. */
export function referrerEntry(descriptor: Descriptor, subject: Digest): Descriptor {
  return {
    ...descriptor,
    annotations: { ...descriptor.annotations, [subjectAnnotation]: subject },
  };
}

/** `RepoTags` entries have the short form, and no digests. */
export function repoTag(reference: Reference): string | undefined {
  if (reference.tag === undefined) return undefined;
  const { domain, path, tag } = reference;
  return familiarReference({ domain, path, tag });
}

/** Names come from strangers: one that is none is left out, since its image can still be used by its ID. */
export function normalize(text: string): string | undefined {
  try {
    return formatReference(withDefaultTag(parseReference(text)));
  } catch (error) {
    if (isTsbuildError(error, "REFERENCE_INVALID")) return undefined;
    throw error;
  }
}
