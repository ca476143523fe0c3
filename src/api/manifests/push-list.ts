import { StepLog } from "../../build/index.ts";
import { parseReference } from "../../core/index.ts";
import { copyGraph, type ManifestFormat } from "../../image/index.ts";
import { openManifestLists, type ManifestList } from "../../local/index.ts";
import { convertTo, copyTo, type CopiedImage } from "../copy-image.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { usageError } from "../errors.ts";
import { normaliseTag } from "../images.ts";
import { describe } from "../output/push-output.ts";
import { openTarget } from "../places/open-target.ts";
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
  return withEngine(options, async (engine) => {
    const { insecure } = options;
    const lists = openManifestLists(engine.store);
    const list = expectList(await lists.get(name), name);
    if (list.images.length === 0) {
      throw usageError(`push manifest list ${name}: it is empty`, "add images to it first");
    }
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    const opened = await openList(engine, list, { insecure });
    try {
      await linkSiblings({ engine, steps, list, opened, to, insecure });
      const converted = await convertTo(options.format, opened, { engine, steps });
      const pushed = await copyTo(to, { engine, steps, ...converted, insecure });
      if (options.purge === true) {
        await lists.update(name, () => Promise.resolve(undefined), engine.signal);
      }
      return pushed;
    } finally {
      await opened.close();
    }
  });
}

/** For each repository of the target's registry that has some of the images: those, linked where the registry can. */
async function linkSiblings(request: {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly list: ManifestList;
  readonly opened: OpenedList;
  readonly to: Place;
  readonly insecure: boolean | undefined;
}): Promise<void> {
  const { engine, steps, list, opened, to, insecure } = request;
  if (to.type !== "registry") return;
  const { signal } = engine;
  for (const repository of new Set(list.images.map((image) => image.repository))) {
    if (repository === undefined) continue;
    const { domain, path } = parseReference(repository);
    if (domain !== to.reference.domain) continue;
    const target = await openTarget(to, { engine, mountFrom: [path], insecure });
    try {
      await steps.run(`copying from ${repository}`, async (step) => {
        for (const image of list.images.filter((each) => each.repository === repository)) {
          await copyGraph({
            ...{ source: opened.source, sink: target.sink, root: image.descriptor, signal },
            onProgress: (progress) => step.progress(describe(progress)),
          });
        }
      });
    } finally {
      await target.close();
    }
  }
}
