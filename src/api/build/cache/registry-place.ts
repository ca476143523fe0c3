import type { CachePlace } from "../../../cache/index.ts";
import { formatReference, formatRepository, parseReference } from "../../../core/index.ts";
import type { MountSource } from "../../../registry/index.ts";
import type { Engine } from "../../engine.ts";
import { openRepository } from "../../open-repository.ts";
import { normaliseName, normaliseTag } from "../../images.ts";
import { formatLocation } from "./cache-spec.ts";

/**
 * A tag of a registry. Registries cannot compare before they replace a tag, so it is looked at just before: what is lost
 * between the two is found by whoever writes.
 * @throws REFERENCE_INVALID, USAGE
 */
export async function openRegistryPlace(request: {
  readonly engine: Engine;
  readonly ref: string;
  readonly isInsecure: boolean;
  readonly access: "pull" | "push";
  readonly mountFrom?: MountSource | undefined;
}): Promise<CachePlace> {
  const { engine, ref, isInsecure, access, mountFrom } = request;
  const reference = parseReference(access === "push" ? normaliseTag(ref) : normaliseName(ref));
  const name = formatReference(reference);
  const repository = await openRepository(engine, {
    ...{ reference, access, insecure: isInsecure },
    ...(mountFrom === undefined ? {} : { mountFrom }),
  });
  const { domain, path } = reference;
  return {
    label: repository.label,
    name,
    isExact: false,
    keepsWhatIsListed: true,
    location: formatLocation({
      type: "registry",
      ref: formatRepository({ domain, path }),
      "registry.insecure": isInsecure ? "true" : undefined,
    }),
    hasChildrenToo: true,
    has: (descriptor, signal) => repository.has(descriptor, signal),
    fetch: (descriptor, signal) => repository.fetch(descriptor, signal),
    fetchFrom: (descriptor, offset, signal) => repository.fetchFrom(descriptor, offset, signal),
    resolve: (wanted, signal) => repository.resolve(wanted, signal),
    push: (descriptor, content, signal) => repository.push(descriptor, content, signal),
    tag: (wanted, descriptor, signal) => repository.tag(wanted, descriptor, signal),
    tagInstead: async (manifest, before, signal) => {
      const present = await repository.resolve(name, signal);
      if (present?.digest !== before?.digest) return false;
      await repository.tag(name, manifest, signal);
      return true;
    },
    beginBlob: (options) => repository.beginBlob(options),
    close: () => repository.close(),
  };
}
