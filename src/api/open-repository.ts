import { parseReference } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { OpenRegistryOptions, RegistryRepository } from "../registry/index.ts";
import type { Engine } from "./engine.ts";
import { missingInRegistry } from "./missing-image.ts";

/**
 * Opens a repository of a registry. What the registry wants people to read, and why one waits for it, becomes a warning.
 * The client is loaded here, because most builds need none. Whoever opens a repository closes it.
 */
export async function openRepository(
  { progress, clock }: Pick<Engine, "progress" | "clock">,
  options: Omit<OpenRegistryOptions, "onWarning">,
): Promise<RegistryRepository> {
  const { openRegistry } = await import("../registry/index.ts");
  const onWarning = registryWarner({ progress, clock }, options.reference.domain);
  return openRegistry({ ...options, onWarning });
}

/** What a registry says, as warnings. */
export function registryWarner(
  { progress, clock }: Pick<Engine, "progress" | "clock">,
  domain: string,
): (text: string) => void {
  return (text) =>
    progress({
      type: "warning",
      time: clock.now().getTime(),
      code: "REGISTRY_SAYS",
      message: `registry ${domain}: ${text}`,
    });
}

/** An image of a registry, and the repository that it is in. Whoever opens it closes the repository. */
export interface RemoteImage {
  readonly repository: RegistryRepository;
  /** What the name stands for. */
  readonly root: Descriptor;
}

/**
 * Opens the repository of a name and looks the name up.
 * @throws IMAGE_NOT_FOUND with the tags that there are; REFERENCE_INVALID, REGISTRY_*
 */
export async function openRemoteImage(
  engine: Engine,
  options: Pick<OpenRegistryOptions, "access" | "insecure"> & { readonly name: string },
): Promise<RemoteImage> {
  const { name, access, insecure } = options;
  const reference = parseReference(name);
  const repository = await openRepository(engine, { reference, access, insecure });
  try {
    const root = await repository.resolve(name, engine.signal);
    if (root === undefined) throw await missingInRegistry(repository, name, engine.signal);
    return { repository, root };
  } catch (error) {
    await repository.close();
    throw error;
  }
}
