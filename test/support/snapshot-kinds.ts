import type { Snapshotter } from "../../src/snapshot/index.ts";

/**
 * The kind of snapshots that tests of other things work on: overlayfs, unless $TSBUILD_TEST_SNAPSHOTS says `copy`, as in a
 * container that may not mount, where only `copy` can be tested.
 */
export const usualKind: Snapshotter["kind"] =
  process.env["TSBUILD_TEST_SNAPSHOTS"] === "copy" ? "copy" : "overlayfs";

export const testedKinds: readonly Snapshotter["kind"][] =
  usualKind === "copy" ? ["copy"] : ["overlayfs", "copy"];

/** Why tests of overlayfs itself cannot run; undefined when they can. */
export const whyNoOverlay = usualKind === "copy" ? "nothing may be mounted here" : undefined;
