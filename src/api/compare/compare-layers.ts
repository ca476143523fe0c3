import { losslessBytes } from "../../core/index.ts";
import {
  ByteSource,
  components,
  parseTarName,
  rootPathToString,
  showName,
  type LayerEntryWithContent,
} from "../../layer/index.ts";

/** One thing in which two layers are not the same. */
export interface LayerDifference {
  /** Of the entry, as it stands in the tar, with a leading slash. */
  readonly path: string;
  /** `entry`: only one of the layers has it. `content`: both values say where and what. */
  readonly field:
    | "entry"
    | "type"
    | "mode"
    | "uid"
    | "gid"
    | "mtime"
    | "link target"
    | "device"
    | "xattrs"
    | "size"
    | "content";
  readonly first: string;
  readonly second: string;
}

type Entries = AsyncIterable<LayerEntryWithContent>;

/**
 * The first entry, and of that entry the first field, in which two layers differ; undefined when their tars are the same.
 * A time is told only where nothing else differs: times differ wherever anything was written, and hide why. Entries come in the order of `Snapshotter.diff`; contents are read side by side, a piece at a time.
 */
export async function compareLayers(
  first: Entries,
  second: Entries,
): Promise<LayerDifference | undefined> {
  const [ones, others] = [first[Symbol.asyncIterator](), second[Symbol.asyncIterator]()];
  let time: LayerDifference | undefined;
  try {
    for (;;) {
      const [one, other] = [(await ones.next()).value, (await others.next()).value] as const;
      if (!one && !other) return time;
      const difference = await compareEntries(one ?? undefined, other ?? undefined);
      if (difference !== undefined) return difference;
      if (one && other) time ??= compareTimes(one, other);
    }
  } finally {
    await ones.return?.();
    await others.return?.();
  }
}

async function compareEntries(
  one: LayerEntryWithContent | undefined,
  other: LayerEntryWithContent | undefined,
): Promise<LayerDifference | undefined> {
  if (one === undefined || other === undefined || !one.path.equals(other.path)) {
    const isFirst = other === undefined || (one !== undefined && comesBefore(one, other));
    const extra = isFirst ? one : other;
    const path = extra === undefined ? "" : shownPath(extra);
    const [there, missing] = [describe(extra), "nothing"];
    return isFirst
      ? { path, field: "entry", first: there, second: missing }
      : { path, field: "entry", first: missing, second: there };
  }
  const [difference] = await compareNodes(one, other);
  return difference;
}

/** Everything but the time in which two entries of one path differ; content only where it has the same size. */
export async function compareNodes(
  one: LayerEntryWithContent,
  other: LayerEntryWithContent,
): Promise<readonly LayerDifference[]> {
  const path = shownPath(one);
  const theirs = headerFields(other);
  const differences = [...headerFields(one)].flatMap(([field, first]): LayerDifference[] => {
    const second = theirs.get(field) ?? "";
    return first === second ? [] : [{ path, field, first, second }];
  });
  if (one.type !== other.type || one.size !== other.size) return differences;
  const differing = await compareContents(one, other);
  if (differing !== undefined) differences.push({ path, field: "content", ...differing });
  return differences;
}

/** The time alone. */
export function compareTimes(
  one: LayerEntryWithContent,
  other: LayerEntryWithContent,
): LayerDifference | undefined {
  if (one.mtime === other.mtime) return undefined;
  const [first, second] = [timeOf(one.mtime), timeOf(other.mtime)];
  return { path: shownPath(one), field: "mtime", first, second };
}

/** As in an error: with a slash in front. */
export function shownPath({ path }: Pick<LayerEntryWithContent, "path">): string {
  return `/${rootPathToString(path)}`;
}

function describe(entry: LayerEntryWithContent | undefined): string {
  if (entry === undefined) return "nothing";
  return entry.type === "file" ? `file of ${String(entry.size)} bytes` : entry.type;
}

/** In the order of a layer: parents before children, whiteouts before other names, names in byte order. */
function comesBefore(one: LayerEntryWithContent, other: LayerEntryWithContent): boolean {
  const [ones, others] = [components(one.path), components(other.path)];
  const at = ones.findIndex((name, index) => others[index]?.equals(name) !== true);
  const [name, opposite] = [ones[at], others[at]];
  if (name === undefined || opposite === undefined) return ones.length < others.length;
  const [isMark, isOtherMark] = [
    at === ones.length - 1 && parseTarName(one.path).type !== "entry",
    at === others.length - 1 && parseTarName(other.path).type !== "entry",
  ];
  return isMark === isOtherMark ? name.compare(opposite) < 0 : isMark;
}

/** Everything of an entry's header but its time, as people read it. */
function headerFields(entry: LayerEntryWithContent): Map<LayerDifference["field"], string> {
  const { type, mode, uid, gid, linkTarget, devMajor = 0, devMinor = 0 } = entry;
  return new Map([
    ["type", type],
    ["mode", `0${mode.toString(8)}`],
    ["uid", String(uid)],
    ["gid", String(gid)],
    ["link target", linkTarget === undefined ? "none" : rootPathToString(linkTarget)],
    ["device", `${String(devMajor)}:${String(devMinor)}`],
    ["xattrs", xattrsOf(entry)],
    ["size", String(entry.size)],
  ]);
}

function xattrsOf({ xattrs = new Map<string, Buffer>() }: LayerEntryWithContent): string {
  const texts = [...xattrs].map(
    ([name, value]) => `${showName(losslessBytes(name))}=${value.toString("hex")}`,
  );
  return texts.sort().join(" ") || "none";
}

const secondNs = 1_000_000_000n;

/** ISO time with all nine digits; plain nanoseconds beyond what calendars here know. */
function timeOf(mtime: bigint): string {
  const nanoseconds = ((mtime % secondNs) + secondNs) % secondNs;
  const time = new Date(Number((mtime - nanoseconds) / 1_000_000n));
  if (Number.isNaN(time.getTime())) return `${String(mtime)} ns`;
  return time.toISOString().replace(/\.\d+Z$/, `.${String(nanoseconds).padStart(9, "0")}Z`);
}

const pieceSize = 256 * 1024;

async function compareContents(
  one: LayerEntryWithContent,
  other: LayerEntryWithContent,
): Promise<Pick<LayerDifference, "first" | "second"> | undefined> {
  if (one.type !== "file" || one.size === 0) return undefined;
  const [ones, others] = [openContent(one), openContent(other)];
  try {
    for (let offset = 0; offset < one.size;) {
      const [first, second] = [await ones.take(pieceSize), await others.take(pieceSize)];
      const at = firstDifference(first, second);
      if (at !== undefined) {
        return {
          first: describeByte(first, { at, offset }),
          second: describeByte(second, { at, offset }),
        };
      }
      offset += first.length;
      if (first.length === 0) return undefined;
    }
    return undefined;
  } finally {
    await ones.close();
    await others.close();
  }
}

function openContent({ read, open }: LayerEntryWithContent): ByteSource {
  const whole = read?.();
  return new ByteSource(whole === undefined ? (open?.() ?? chunksOf()) : chunksOf(whole));
}

async function* chunksOf(...chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}

function firstDifference(first: Buffer, second: Buffer): number | undefined {
  if (first.equals(second)) return undefined;
  const at = first.findIndex((byte, index) => byte !== second[index]);
  return at === -1 ? first.length : at;
}

const shownBytes = 24;

/** The bytes from the first one that differs on: as text where they are, else in hexadecimal digits. */
function describeByte(
  piece: Buffer,
  { at, offset }: { readonly at: number; readonly offset: number },
): string {
  const bytes = piece.subarray(at, at + shownBytes);
  const isText = bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a);
  const shown = isText ? JSON.stringify(bytes.toString("latin1")) : bytes.toString("hex");
  return `${shown} at byte ${String(offset + at)}`;
}
