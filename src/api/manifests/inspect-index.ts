import { StepLog } from "../../build/index.ts";
import { formatReference, isIndexType } from "../../core/index.ts";
import { maxManifestSize, parseIndex, readContent, type Descriptor } from "../../image/index.ts";
import { withEngine, type EngineOptions } from "../engine.ts";
import { openImage } from "../places/open-image.ts";
import { parseRemotePlace } from "./index-sources.ts";

export interface InspectIndexOptions extends EngineOptions {
  /** A name in a registry, or another place. */
  readonly name: string;
  readonly insecure?: boolean | undefined;
}

export interface InspectedIndex {
  /** In full. */
  readonly name: string;
  readonly descriptor: Descriptor;
  /** The manifest or index, byte for byte. */
  readonly document: Buffer;
  /** Of an index. */
  readonly manifests: readonly Descriptor[];
}

/** What stands under a name, and what it lists. @throws IMAGE_*, REGISTRY_*, ARCHIVE_* */
export async function inspectIndex(options: InspectIndexOptions): Promise<InspectedIndex> {
  const place = parseRemotePlace(options.name);
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openImage(place, { engine, steps, insecure: options.insecure });
    try {
      const { source, root: descriptor } = opened;
      const { signal } = engine;
      const document = await readContent({ source, descriptor, limit: maxManifestSize, signal });
      const manifests = isIndexType(descriptor.mediaType)
        ? parseIndex(document, descriptor.mediaType).manifests
        : [];
      const name = place.type === "registry" ? formatReference(place.reference) : place.text;
      return { name, descriptor, document, manifests };
    } finally {
      await opened.close();
    }
  });
}
