import type { StepLog } from "../../build/index.ts";
import { copyGraph, plainDescriptor, type Descriptor } from "../../image/index.ts";
import { usageError } from "../errors.ts";
import { describe } from "../output/push-output.ts";
import type { OpenedTarget } from "../places/open-target.ts";
import type { Place } from "../places/parse-place.ts";
import { findReferrers, type FindReferrersRequest } from "./find-referrers.ts";

/** @throws USAGE where one of the places keeps images alone */
export function checkKeepsReferrers(...places: readonly Place[]): void {
  const wrong = places.find(({ type }) => !keepers.includes(type));
  if (wrong === undefined) return;
  const where = wrong.type === "store" ? "the local store" : wrong.text;
  throw usageError(
    `handle what refers to an image in ${where}: images alone are kept there`,
    "registries (docker://NAME), oci:DIR:REF and oci-archive:FILE:REF keep what refers to them",
  );
}

const keepers: readonly Place["type"][] = ["registry", "layout", "oci-archive"];

/**
 * Copies what refers to an image that has been copied: signatures, attestations and other artifacts, with what refers to
 * these. Nothing is named before, so that nobody sees the image without them.
 */
export async function copyReferrers(
  request: FindReferrersRequest & {
    readonly target: OpenedTarget;
    readonly steps: StepLog;
  },
): Promise<void> {
  const { target, steps, source, signal } = request;
  const { lists, tags } = await findReferrers(request);
  const all = [
    ...lists.flatMap(({ referrers }) => referrers),
    ...tags.map(({ descriptor }) => descriptor),
  ];
  if (all.length === 0) return;
  const name = `copying what refers to it (${String(all.length)})`;
  await steps.run(name, async (step) => {
    const copy = async (descriptor: Descriptor): Promise<void> => {
      await copyGraph({
        ...{ source, sink: target.sink, root: plainDescriptor(descriptor), signal },
        onProgress: (progress) => step.progress(describe(progress)),
      });
    };
    for (const descriptor of all) await copy(descriptor);
    for (const { subject, referrers } of lists) await target.referrers?.list(subject, referrers);
    for (const { tag, descriptor } of tags) await target.referrers?.tag(tag, descriptor);
  });
}
