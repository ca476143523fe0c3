import type { DiffId } from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import type { BlobListener } from "../../local/index.ts";
import type { RegistryRepository } from "../../registry/index.ts";
import type { Engine } from "../engine.ts";
import type { MountSources } from "./mount-sources.ts";

/** Further layers are sent when they are whole. */
const atOnce = 3;

/** For whoever is not in the same file of the bundle: no class is made across those. */
export function openEarlyUploads(
  ...parts: ConstructorParameters<typeof EarlyUploads>
): EarlyUploads {
  return new EarlyUploads(...parts);
}

/**
 * Sends layers to a registry while they are compressed, so that the one does not wait for the other. Those that are likely to
 * be there already are left alone. Nothing depends on it: the copy that follows sends what is missing.
 */
export class EarlyUploads {
  readonly #engine: Pick<Engine, "store" | "signal">;
  readonly #mounts: Pick<MountSources, "isKnown">;
  readonly #target: {
    readonly repository: Pick<RegistryRepository, "beginBlob">;
    readonly domain: string;
  };
  readonly #ending: Promise<void>[] = [];
  #going = 0;
  #onSent: ((descriptor: Descriptor, size: number) => void) | undefined;

  constructor(
    engine: Pick<Engine, "store" | "signal">,
    mounts: Pick<MountSources, "isKnown">,
    target: { readonly repository: Pick<RegistryRepository, "beginBlob">; readonly domain: string },
  ) {
    this.#engine = engine;
    this.#mounts = mounts;
    this.#target = target;
  }

  /** See `ExportOptions.listenTo`. */
  async listenTo(layer: DiffId): Promise<BlobListener | undefined> {
    const { repository, domain } = this.#target;
    if (this.#going === atOnce || (await this.#mounts.isKnown(domain, layer))) return undefined;
    this.#going += 1;
    const { store, signal } = this.#engine;
    let made: Descriptor | undefined;
    const onSent = (size: number): void => {
      if (made !== undefined) this.#onSent?.(made, size);
    };
    const blob = repository.beginBlob({ onSent, signal });
    return {
      write: (chunk) => blob.write(chunk),
      finish: (descriptor) => {
        made = descriptor;
        this.#end(blob.finish(descriptor, () => store.blobs.open(descriptor.digest)));
      },
      cancel: () => this.#end(blob.cancel()),
    };
  }

  /** Waits until nothing is on its way any more; `onSent` is told of whole layers whose bytes go on being sent. */
  async settle(onSent?: (descriptor: Descriptor, size: number) => void): Promise<void> {
    this.#onSent = onSent;
    await Promise.all(this.#ending);
  }

  #end(work: Promise<void>): void {
    this.#ending.push(work.finally(() => (this.#going -= 1)));
  }
}
