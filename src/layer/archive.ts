import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Extract, extract, type Header, pack } from "tar-stream";
import { layerError } from "./errors.ts";

/**
 * A member of an outer archive: a saved image, a build context. Layers go through `readLayerTar` and `writeLayerTar`,
 * since these archives carry no owners beyond 262143, no binary xattrs and no names that are not UTF-8.
 */
export interface ArchiveMember {
  /** As it stands in the archive; the reader of hostile archives cleans it with `toRootPath`. */
  readonly name: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink" | "other";
  readonly mode: number;
  readonly size: number;
  readonly mtime: Date;
  readonly linkTarget?: string;
}

/** A member to write; `content` is exactly `size` bytes, for files only. */
export interface ArchiveMemberWithContent extends ArchiveMember {
  readonly content?: Buffer | (() => Readable | Promise<Readable>);
}

/**
 * A tar of the members in the order given, owners 0:0.
 * The stream fails with what a member's content fails with.
 */
export function packArchive(
  members: AsyncIterable<ArchiveMemberWithContent> | Iterable<ArchiveMemberWithContent>,
): Readable {
  const archive = pack();
  const fill = async (): Promise<void> => {
    for await (const member of members) await packMember(archive, member);
    archive.finalize();
  };
  fill().catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  // tar-stream's own stream kind is not Node's.
  return Readable.from(archive as AsyncIterable<Buffer>, { objectMode: false });
}

async function packMember(
  archive: ReturnType<typeof pack>,
  member: ArchiveMemberWithContent,
): Promise<void> {
  const header = {
    name: member.name,
    type: headerType(member.type),
    mode: member.mode,
    size: member.type === "file" ? member.size : 0,
    mtime: member.mtime,
    uid: 0,
    gid: 0,
    ...(member.linkTarget === undefined ? {} : { linkname: member.linkTarget }),
  };
  const { content } = member;
  if (member.type !== "file" || content === undefined || Buffer.isBuffer(content)) {
    await new Promise<void>((resolve, reject) => {
      archive.entry(header, Buffer.isBuffer(content) ? content : "", (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    return;
  }
  const source = await content();
  await pipeline(source, archive.entry(header));
}

/**
 * The members of a tar in their order. `content` is read, or skipped, before the next member is asked for.
 * @throws LAYER_TRUNCATED, LAYER_HEADER_INVALID
 */
export async function* extractArchive(
  input: Readable,
): AsyncGenerator<{ readonly member: ArchiveMember; readonly content: Readable }, void, undefined> {
  const parser = extract();
  input.on("error", (error) => parser.destroy(error));
  input.pipe(parser);
  try {
    for await (const entry of parser) {
      const content = Readable.from(contentOf(entry), { objectMode: false });
      yield { member: memberOf(entry.header), content };
      entry.resume();
    }
  } catch (error) {
    throw archiveError(error);
  } finally {
    input.destroy();
  }
}

async function* contentOf(entry: Source): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of entry) yield chunk as Buffer;
  } catch (error) {
    throw archiveError(error);
  }
}

// The package does not export its name for a member that is read.
type Source = Extract extends AsyncIterable<infer Member> ? Member : never;

function memberOf(header: Header): ArchiveMember {
  return {
    name: header.name,
    type: memberType(header.type),
    mode: (header.mode ?? 0) & 0o7777,
    size: header.size ?? 0,
    mtime: header.mtime ?? new Date(0),
    ...(typeof header.linkname === "string" ? { linkTarget: header.linkname } : {}),
  };
}

function headerType(type: ArchiveMember["type"]): Header["type"] {
  if (type === "hardlink") return "link";
  return type === "other" ? "file" : type;
}

function memberType(type: Header["type"]): ArchiveMember["type"] {
  switch (type) {
    case "file":
    case "contiguous-file":
    case null:
    case undefined:
      return "file";
    case "directory":
    case "symlink":
      return type;
    case "link":
      return "hardlink";
    default:
      return "other";
  }
}

/** tar-stream tells its failures only in words. */
function archiveError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (/unexpected end of data/i.test(error.message))
    return layerError("LAYER_TRUNCATED", "read archive: it ends in the middle", { cause: error });
  if (/invalid tar header/i.test(error.message))
    return layerError("LAYER_HEADER_INVALID", "read archive: broken header", { cause: error });
  return error;
}
