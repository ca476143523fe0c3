import { StepLog } from "../../build/index.ts";
import { parseReference } from "../../core/index.ts";
import type { ManifestFormat } from "../../image/index.ts";
import { openManifestLists } from "../../local/index.ts";
import type { MountSource } from "../../registry/index.ts";
import { convertTo, copyTo, type CopiedImage } from "../copy-image.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { usageError } from "../errors.ts";
import { normaliseTag } from "../images.ts";
import { reportDigest } from "../output/reports.ts";
import { parsePlace, type Place } from "../places/parse-place.ts";
import { expectList } from "./edit-list.ts";
import { openList, type OpenedList } from "./list-source.ts";

export interface PushListOptions extends EngineOptions {
  readonly name: string;
  /** A place; the registry that the name tells unless given. */
  readonly target?: string | undefined;
  /** Forget the list afterwards. */
  readonly purge?: boolean | undefined;
  readonly format?: ManifestFormat | undefined;
  /** Gets the digest that the image has there. */
  readonly digestFile?: string | undefined;
  readonly insecure?: boolean | undefined;
}

/**
 * Sends a list to a registry, or writes it to another place, with all its images: blobs first, then manifests, then the
 * index. What lies in another repository of the same registry is linked, not sent.
 * @throws MANIFEST_LIST_NOT_FOUND, REGISTRY_*, ARCHIVE_*, LOCAL_*, IMAGE_UNCONVERTIBLE; USAGE for an empty list
 */
export async function pushList(options: PushListOptions): Promise<CopiedImage> {
  const name = normaliseTag(options.name);
  const to = parsePlace(options.target ?? `docker://${name}`);
  const push = async (engine: Engine): Promise<CopiedImage> => {
    const { insecure } = options;
    const lists = openManifestLists(engine.store);
    const list = expectList(await lists.get(name), name);
    if (list.images.length === 0) {
      throw usageError(`push manifest list ${name}: it is empty`, "add images to it first");
    }
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openList(engine, list, { insecure });
    try {
      const { source, root } = await convertTo(options.format, opened, { engine, steps });
      const mountFrom = siblingsOf(opened, to);
      const pushed = await copyTo(to, { engine, steps, source, root, mountFrom, insecure });
      if (options.purge === true) {
        await lists.update(name, () => Promise.resolve(undefined), engine.signal);
      }
      return pushed;
    } finally {
      await opened.close();
    }
  };
  return reportDigest(options.digestFile, () => withEngine(options, push));
}

/** Repositories of the target's registry that have a blob: it is linked where the registry can. */
export function siblingsOf(opened: OpenedList, to: Place): MountSource | undefined {
  if (to.type !== "registry") return undefined;
  const { domain } = to.reference;
  return ({ digest }) => {
    const found = opened.repositoriesOf(digest).map(parseReference);
    const siblings = found.filter((each) => each.domain === domain);
    return Promise.resolve(siblings.map(({ path }) => path));
  };
}
