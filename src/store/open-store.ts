import { join, resolve } from "node:path";
import {
  makeFolder,
  type Clock,
  diskFull,
  explainSystemError,
  isDiskFull,
  syscallErrno,
  isTsbuildError,
  systemClock,
} from "../core/index.ts";
import { openBlobs } from "./blobs.ts";
import { openCacheMounts } from "./cache-mounts.ts";
import { storeError } from "./errors.ts";
import { FilesystemSync, openFilesystem, type OpenFilesystem } from "./filesystem-sync.ts";
import { Gate } from "./gate.ts";
import { asObject, readJsonFileSync, writeJsonFile } from "./json-file.ts";
import { openLayerBlobs } from "./layer-blobs.ts";
import { openLayerOrigins } from "./layer-origins.ts";
import { type StoreLayout, storeLayout } from "./layout.ts";
import { withNameLock } from "./name-lock.ts";
import { openNames } from "./names.ts";
import { PartialBlobs } from "./partial-blobs.ts";
import { claimProcessFolder, type ProcessFolder } from "./process-folder.ts";
import { type SweepReport, sweepTmp } from "./sweep.ts";
import type { Store } from "./types.ts";

/** Version of what lies on disk. A change that an older tsbuild would misread gets the next number. */
export const storeFormat = 1;

/**
 * Opens the state root, making it when it is not there. What dead processes left is swept beside the work; `close`
 * stops that and removes this process' folder.
 * @throws STORE_UNAVAILABLE when the root cannot be made or written; STORE_FORMAT_UNSUPPORTED when a newer tsbuild
 * wrote it; DISK_FULL
 */
export async function openStore(options: {
  readonly root: string;
  readonly clock?: Clock;
}): Promise<Store> {
  const layout = storeLayout(resolve(options.root));
  const clock = options.clock ?? systemClock;
  const { folder, disk } = await claim(layout);
  const tmpDir = folder.path;
  const gate = new Gate(folder, layout.tmp);
  const cacheMounts = openCacheMounts({ directory: layout.mountsCache, tmpDir });
  const partial = new PartialBlobs({
    directory: layout.partial,
    tmpDir,
    blobs: layout.blobs,
  });
  const sweeper = startSweeper(layout.tmp, {
    own: folder.name,
    clock,
    rescue: async (dead) => {
      await cacheMounts.bringBack(dead);
      await partial.rescue(dead);
    },
  });
  const filesystem = new FilesystemSync(async () => disk.write());
  let closing: Promise<void> | undefined;

  return {
    root: layout.root,
    tmpDir,
    blobs: openBlobs({
      directory: layout.blobs,
      tmpDir,
      partial,
      swept: async () => sweeper.first,
      sharedSync: () => filesystem.shared,
    }),
    names: openNames({
      directory: layout.names,
      tmpDir,
      clock,
      sharedSync: () => filesystem.shared,
    }),
    layerBlobs: openLayerBlobs(layout.layerBlobs, tmpDir),
    layerOrigins: openLayerOrigins(layout.layerOrigins, tmpDir),
    cacheMounts,
    protect: async (work, signal) => gate.protect(work, signal),
    tryExclusive: async (work) => gate.tryExclusive(work),
    withLock: async (name, work, signal) =>
      withNameLock(
        { directory: layout.locks, name, ...(signal === undefined ? {} : { signal }) },
        work,
      ),
    sweep: async () => sweeper.sweep(),
    beginSync: () => {
      filesystem.begin();
    },
    sync: async () => filesystem.finish(),
    hasLostWrites: async () => filesystem.hasFailed(),
    close: async () =>
      (closing ??= (async () => {
        await sweeper.stop();
        await filesystem.settle();
        disk.close();
        // What cannot be removed now is garbage for the next one, and no reason to call finished work a failure.
        await folder.release().catch(() => undefined);
      })()),
  };
}

async function claim(
  layout: StoreLayout,
): Promise<{ readonly folder: ProcessFolder; readonly disk: OpenFilesystem }> {
  let disk: OpenFilesystem | undefined;
  try {
    await checkFormat(layout);
    disk = openFilesystem(layout.root);
    return { folder: await claimProcessFolder(layout.tmp), disk };
  } catch (error) {
    disk?.close();
    if (isDiskFull(error)) throw diskFull(layout.root, error);
    const isOurs = isTsbuildError(error) && error.code !== "SYSCALL_FAILED";
    throw isOurs ? error : unavailable(layout.root, error);
  }
}

async function checkFormat(layout: StoreLayout): Promise<void> {
  const format = readJsonFileSync(layout.version, (value) => asObject(value)?.["format"]);
  if (format === storeFormat) return;
  if (typeof format === "number" && format > storeFormat) {
    throw storeError("STORE_FORMAT_UNSUPPORTED", `open ${layout.root}: a newer tsbuild wrote it`, {
      hint: "use that version of tsbuild, or another folder with --root",
      details: { root: layout.root, format, supported: storeFormat },
    });
  }
  // Snapshots hold setuid programs of strangers: nobody else may reach, let alone run them.
  makeFolder(layout.root, 0o700);
  const { blobs, names, layerBlobs, locks, tmp } = layout;
  // A blob whose folder is missing is written, and waits for the disk, twice.
  for (const folder of [join(blobs, "sha256"), names, layerBlobs, locks, tmp]) {
    makeFolder(folder);
  }
  const value = { format: storeFormat };
  // Last, because whoever finds it relies on the folders.
  await writeJsonFile({ path: layout.version, tmpDir: tmp, value, durable: true });
}

interface Sweeper {
  /** Never rejects. */
  readonly first: Promise<void>;
  sweep(): Promise<SweepReport>;
  stop(): Promise<void>;
}

/**
 * Sweeps at once, in the background, and again for each `sweep`. What the first run could not remove stays for the next
 * one and is nobody's loss, so its failures are told only by `sweep`.
 */
function startSweeper(
  tmp: string,
  options: Omit<Parameters<typeof sweepTmp>[1], "signal">,
): Sweeper {
  const abort = new AbortController();
  const run = async (): Promise<SweepReport> => sweepTmp(tmp, { ...options, signal: abort.signal });
  const first = run().then(
    () => undefined,
    () => undefined,
  );
  return {
    first,
    sweep: async () => {
      await first;
      return run();
    },
    stop: async () => {
      abort.abort();
      await first;
    },
  };
}

function unavailable(root: string, cause: unknown): Error {
  const errno = syscallErrno(cause);
  const known = explainSystemError(cause);
  const ofMachine = isTsbuildError(known) ? known.hint : undefined;
  return storeError("STORE_UNAVAILABLE", `open ${root} for writing`, {
    // Another folder does not help where the machine has too little of something.
    hint:
      (isShortage(errno) ? ofMachine : undefined) ??
      "choose a folder that you may write to with --root or $TSBUILD_ROOT",
    details: { root, errno },
    cause,
  });
}

function isShortage(errno: string | undefined): boolean {
  return ["EFBIG", "EIO", "EMFILE", "ENFILE", "ENOMEM"].includes(errno ?? "");
}
