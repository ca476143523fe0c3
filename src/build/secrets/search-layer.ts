import { losslessBytes } from "../../core/index.ts";
import { showName, type LayerEntryWithContent } from "../../layer/index.ts";
import type { Leak, LeakPlace } from "./leak.ts";
import type { SecretSearch, Sighting } from "./secret-search.ts";

/** What a file may hold to be handed over in one piece. */
const pieceSize = 1024 * 1024;

/**
 * Looks for secrets in the contents, names, link targets and extended attributes of one layer. Nothing is unpacked that
 * is packed.
 */
export async function searchLayer(
  search: SecretSearch,
  layer: {
    readonly entries: AsyncIterable<LayerEntryWithContent>;
    /** Of the step that made it. */
    readonly step: string;
    readonly signal: AbortSignal;
  },
): Promise<readonly Leak[]> {
  const leaks: Leak[] = [];
  const piece = Buffer.allocUnsafe(pieceSize);
  const note = (found: readonly Sighting[], place: () => LeakPlace): void => {
    leaks.push(...found.map((sighting) => ({ ...sighting, step: layer.step, place: place() })));
  };
  for await (const entry of layer.entries) {
    layer.signal.throwIfAborted();
    const path = (): string => `/${showName(search.blotOut(entry.path))}`;
    note(search.find(entry.path), () => ({ type: "file-name", path: path() }));
    // The target of a hard link is a name that was looked at.
    if (entry.type === "symlink" && entry.linkTarget !== undefined) {
      note(search.find(entry.linkTarget), () => ({ type: "link-target", path: path() }));
    }
    for (const [name, value] of entry.xattrs ?? []) {
      const bytes = losslessBytes(name);
      const place = (): LeakPlace => ({
        ...{ type: "xattr", path: path() },
        name: showName(search.blotOut(bytes)),
      });
      note([...search.find(bytes), ...search.find(value)], place);
    }
    note(await searchContent(search, entry, piece), () => ({ type: "file", path: path() }));
  }
  return leaks;
}

async function searchContent(
  search: SecretSearch,
  entry: LayerEntryWithContent,
  piece: Buffer,
): Promise<readonly Sighting[]> {
  const { size, read, open } = entry;
  if (size === 0) return [];
  if (read !== undefined && size <= piece.length) return search.find(read(piece.subarray(0, size)));
  if (open === undefined) return [];
  const stream = search.openStream();
  const found: Sighting[] = [];
  for await (const chunk of open() as AsyncIterable<Buffer>) found.push(...stream.push(chunk));
  return found;
}
