import type { FileHandle } from "node:fs/promises";
import { type LayerEntryWithContent, readLayerTar } from "../layer/index.ts";
import { readRange } from "./read-range.ts";

/** A member of a tar with its headers: a tar of one entry without an end mark. */
export interface SparseMember {
  readonly start: number;
  readonly end: number;
}

/**
 * What a member is that `tar --sparse` left the holes of out: with its real name and size.
 * @throws LAYER_* codes when its map is not right
 */
export async function lookAtSparse(
  file: FileHandle,
  member: SparseMember,
): Promise<{ readonly name: string; readonly size: number } | undefined> {
  for await (const { path, size } of entriesOf(file, member))
    return { name: path.toString(), size };
  return undefined;
}

/** Its content with the holes. @throws ARCHIVE_TRUNCATED; LAYER_* codes */
export async function* readSparse(
  file: FileHandle,
  member: SparseMember,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const { open } of entriesOf(file, member)) {
    for await (const chunk of open?.() ?? []) yield chunk as Buffer;
    return;
  }
}

function entriesOf(
  file: FileHandle,
  { start, end }: SparseMember,
): AsyncIterable<LayerEntryWithContent> {
  return readLayerTar(readRange(file, start, end - start));
}
