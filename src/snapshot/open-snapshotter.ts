import { statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { type JobThread, lazySyscalls, makeFolder } from "../core/index.ts";
import { snapshotError } from "./errors.ts";
import { copyForm } from "./copy-form.ts";
import { type EmptyDirectories, overlayForm } from "./form.ts";
import { probeOverlay, type OverlayObstacle } from "./probe-overlay.ts";
import { DirectorySnapshotter, type WithLock } from "./snapshotter.ts";
import type { Snapshotter } from "./types.ts";

export interface OpenSnapshotterOptions {
  /** Where committed snapshots live; created when missing. */
  readonly directory: string;
  /** This process' own folder on the same filesystem, swept when the process is dead. */
  readonly tmpDir: string;
  /** `auto` takes overlayfs where the filesystem and the privileges allow its marks, else copies. */
  readonly kind?: "auto" | "overlayfs" | "copy";
  /** Names this boot of the machine; the kernel's own unless given. */
  readonly bootId?: string;
  /** Keeps processes from making the files of one layer at the same time; needed where there are several. */
  readonly withLock?: WithLock;
  /** A thread, not started yet, that makes a part of the files of a layer that is kept as a tar. */
  readonly openThread?: () => JobThread | undefined;
  /** Ends the making of such files. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws SNAPSHOT_KIND_UNSUPPORTED when overlayfs is asked for and cannot work here; SYSCALLS_UNAVAILABLE */
export async function openSnapshotter(options: OpenSnapshotterOptions): Promise<Snapshotter> {
  const { directory, tmpDir, kind = "auto", bootId, withLock, openThread, signal } = options;
  const kernel = lazySyscalls();
  const empty = makeEmptyDirectories(directory);
  const record = join(directory, "empty", "probe");
  const obstacle = kind === "copy" ? undefined : probeOverlay(kernel, { tmpDir, record });
  if (kind === "overlayfs" && obstacle !== undefined) throw unsupported(tmpDir, obstacle);
  const isOverlay = kind !== "copy" && obstacle === undefined;
  const form = isOverlay ? overlayForm(kernel, empty) : copyForm({ kernel, empty, tmpDir });
  return new DirectorySnapshotter({
    ...{ form, directory, tmpDir, bootId, withLock, openThread, signal },
  });
}

/** They show as the root of an image without layers, and look like one. */
function makeEmptyDirectories(directory: string): EmptyDirectories {
  const empty = [join(directory, "empty", "a"), join(directory, "empty", "b")] as const;
  for (const path of empty) {
    if (statSync(path, { throwIfNoEntry: false })?.mtimeMs === 0) continue;
    makeFolder(path, 0o755);
    utimesSync(path, 0, 0);
  }
  return empty;
}

function unsupported(folder: string, obstacle: OverlayObstacle): Error {
  const reasons: Readonly<Record<OverlayObstacle, string>> = {
    overlayfs: "it lies on an overlayfs itself",
    capabilities:
      "what files of images look like takes CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD and CAP_SETFCAP",
    whiteouts: "device nodes cannot be made there",
    xattrs: "it takes no trusted.* attributes",
  };
  return snapshotError(
    "SNAPSHOT_KIND_UNSUPPORTED",
    `keep overlayfs layers in ${folder}: ${reasons[obstacle]}`,
    {
      hint: "choose a state folder on a local filesystem such as ext4 or xfs, or run as root",
      details: { folder, obstacle },
    },
  );
}
