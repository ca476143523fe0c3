import type { OpenRegistryOptions, RegistryRepository } from "../registry/index.ts";
import type { Engine } from "./engine.ts";

/**
 * Opens a repository of a registry. What the registry wants people to read, and why one waits for it, becomes a warning.
 * The client is loaded here, because most builds need none. Whoever opens a repository closes it.
 */
export async function openRepository(
  { progress, clock }: Pick<Engine, "progress" | "clock">,
  options: Omit<OpenRegistryOptions, "onWarning">,
): Promise<RegistryRepository> {
  const { openRegistry } = await import("../registry/index.ts");
  return openRegistry({
    ...options,
    onWarning: (text) =>
      progress({
        type: "warning",
        time: clock.now().getTime(),
        code: "REGISTRY_SAYS",
        message: `registry ${options.reference.domain}: ${text}`,
      }),
  });
}
