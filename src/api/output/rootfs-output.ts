import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  claimPartial,
  coreError,
  errnoOf,
  formatPlatform,
  isDiskFull,
  isTsbuildError,
  makeFolder,
  openOutputFile,
  syscallErrno,
  removeTree,
  type OutputFile,
  type PartialPlace,
  type Platform,
} from "../../core/index.ts";
import { layerTarChunks, type MergedTree } from "../../layer/index.ts";
import type { GroupMember, ImageGroup } from "../../local/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { apiError } from "../errors.ts";
import { outputFailed } from "./places.ts";
import { rootfsEntries, walkRootfs } from "./rootfs-entries.ts";
import type { DirectoryOutput, TarOutput } from "./types.ts";

interface RootfsRequest {
  readonly engine: Engine;
  readonly group: ImageGroup;
  /** Time of every file, in nanoseconds; by default its own. */
  readonly mtime: bigint | undefined;
}

/**
 * Writes the files of the images into a directory. One that is not there yet appears when it is complete; in one that
 * is, a failure leaves some files new and some old, and says so.
 * @throws OUTPUT_FAILED
 */
export async function writeRootfs(output: DirectoryOutput, request: RootfsRequest): Promise<void> {
  const { writeDirectory } = await import("./directory-output.ts");
  const destination = resolve(output.destination);
  const isNew = await isMissing(destination);
  const { mode } = output;
  const { mtime } = request;
  const { signal } = request.engine;
  let partial: PartialPlace | undefined;
  try {
    if (isNew) {
      makeFolder(dirname(destination));
      partial = await claimPartial(destination, "directory");
    }
    const place = partial?.path ?? destination;
    const parts = await openParts(output, request);
    if (mode === "delete" && parts.every(({ folder }) => folder !== undefined)) {
      await keepOnly(
        place,
        parts.map(({ folder = "" }) => folder),
      );
    }
    for (const [index, { tree, folder }] of parts.entries()) {
      // Where several platforms share a directory, the second must not remove what the first wrote.
      const isShared = folder === undefined && index > 0;
      await writeDirectory({
        ...{ tree, mtime, signal, folder, directory: place },
        mode: isShared ? "copy" : mode,
      });
    }
    await partial?.commit();
  } catch (error) {
    // Why it failed is the news, and a place that nothing can be written to has nothing to remove.
    await partial?.remove().catch(() => undefined);
    throw signal.aborted
      ? canceled(output.destination, error)
      : rootfsFailed(output.destination, { error, isNew });
  }
}

/** Writes the files of the images into a tar. @throws OUTPUT_FAILED */
export async function writeRootfsTar(output: TarOutput, request: RootfsRequest): Promise<void> {
  const parts = await openParts(output, request);
  const { mtime } = request;
  async function* entries(): ReturnType<typeof rootfsEntries> {
    for (const { tree, folder } of parts) yield* rootfsEntries(tree, { prefix: folder, mtime });
  }
  const { destination } = output;
  const write = async (stream: Writable): Promise<void> =>
    pipeline(Readable.from(layerTarChunks(entries()), { objectMode: false }), stream, {
      signal: request.engine.signal,
      end: stream !== process.stdout,
    });
  if (destination === "-") return write(process.stdout);
  let file: OutputFile | undefined;
  try {
    file = await openOutputFile(destination);
    await write(file.stream);
    await file.commit();
  } catch (error) {
    await file?.remove();
    if (request.engine.signal.aborted) throw canceled(destination, error);
    throw isTsbuildError(error) ? error : outputFailed(destination, error);
  }
}

/** A root filesystem and the folder that it goes into. */
interface Part {
  readonly tree: MergedTree;
  readonly folder: string | undefined;
}

async function openParts(
  output: DirectoryOutput | TarOutput,
  { engine, group }: RootfsRequest,
): Promise<readonly Part[]> {
  const { platformSplit = group.index !== undefined } = output;
  const bases = new BaseImages(engine, { pull: false });
  try {
    const parts: Part[] = [];
    for (const member of group.members) {
      const chainId = await engine.images.ensureUnpacked(member.image, {
        fetchLayer: bases.layersOf(member.image),
        signal: engine.signal,
      });
      const tree = await engine.snapshots.tree(chainId);
      parts.push({ tree, folder: platformSplit ? folderOf(member) : undefined });
    }
    if (!platformSplit && parts.length > 1) await refuseOverlaps(parts, group);
    return parts;
  } finally {
    await bases.close();
  }
}

function folderOf({ platform, image }: GroupMember): string {
  const { os, architecture, variant } = image.config;
  const fallback: Platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  return formatPlatform(platform ?? fallback).replaceAll("/", "_");
}

/** Without folders of their own two platforms may have the same directories, but no file of the same name. */
async function refuseOverlaps(parts: readonly Part[], group: ImageGroup): Promise<void> {
  const owners = new Map<string, string>();
  for (const [index, { tree }] of parts.entries()) {
    const member = group.members[index];
    const owner = member === undefined ? "" : folderOf(member);
    for await (const { path, stat } of walkRootfs(tree)) {
      if (stat.type === "directory") continue;
      const key = path.toString("latin1");
      const other = owners.get(key);
      if (other !== undefined) {
        throw apiError(
          "OUTPUT_FAILED",
          `write output: cannot overwrite ${path.toString()} from ${other} with ${owner} when split option is disabled`,
          { hint: "leave platform-split=false out", details: { path: path.toString() } },
        );
      }
      owners.set(key, owner);
    }
  }
}

async function keepOnly(directory: string, names: readonly string[]): Promise<void> {
  const found = await readdir(directory).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  });
  for (const name of found) if (!names.includes(name)) await removeTree(join(directory, name));
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await readdir(path);
    return false;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return true;
    throw outputFailed(path, error);
  }
}

function canceled(destination: string, cause: unknown): Error {
  return coreError("CANCELED", `write output to ${destination}: canceled`, { cause });
}

function rootfsFailed(
  destination: string,
  { error, isNew }: { readonly error: unknown; readonly isNew: boolean },
): unknown {
  const isOurs = isTsbuildError(error) && error.code !== "SYSCALL_FAILED";
  if (isOurs && !isDiskFull(error)) return error;
  const left = isNew ? "nothing is left of it" : "some files there are new now and others old";
  if (isDiskFull(error)) {
    return coreError("DISK_FULL", `write output to ${destination}: no space left`, {
      hint: `${left}: free some space and build again`,
      details: { path: destination },
      cause: error,
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return apiError("OUTPUT_FAILED", `write output to ${destination}: ${reason}`, {
    hint: `${left}: make the place writable and build again`,
    details: { destination, errno: syscallErrno(error) },
    cause: error,
  });
}
