import { formatRepository, parseReference } from "../core/index.ts";
import type { RegistryRepository } from "../registry/index.ts";
import type { Engine } from "./engine.ts";
import { openRepository } from "./open-repository.ts";

/** Repositories of registries that are read from, each opened when it is first asked for. Whoever makes it closes it. */
export class Repositories {
  readonly #engine: Engine;
  readonly #insecure: boolean;
  readonly #opened = new Map<string, Promise<RegistryRepository>>();

  constructor(
    engine: Engine,
    { insecure = false }: { readonly insecure?: boolean | undefined } = {},
  ) {
    this.#engine = engine;
    this.#insecure = insecure;
  }

  /** The repository of an image or repository name. @throws REFERENCE_INVALID */
  async open(name: string): Promise<RegistryRepository> {
    const reference = parseReference(name);
    const key = formatRepository(reference);
    const insecure = this.#insecure;
    const known = this.#opened.get(key);
    if (known !== undefined) return known;
    const opened = openRepository(this.#engine, { reference, access: "pull", insecure });
    this.#opened.set(key, opened);
    // What failed may succeed the next time, and is nothing to close.
    opened.catch(() => this.#opened.delete(key));
    return opened;
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    for (const opened of this.#opened.values()) await (await opened).close();
  }
}
