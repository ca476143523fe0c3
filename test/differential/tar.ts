/**
 * A reader and a writer of tar archives that share nothing with `src/layer`: the judge of our layers must not make
 * their mistakes. Everything is in memory, because the archives of this suite are small.
 */

/** One entry as the archive says it, PAX and GNU extensions applied. */
export interface TarEntry {
  /** Without leading `./` and `/`, without trailing `/`; the root itself is empty. Bytes that are no UTF-8 as `\xNN`. */
  readonly path: string;
  readonly type: "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds, with a fraction where PAX gives one. */
  readonly mtime: number;
  readonly target: string;
  /** `major:minor` of a device. */
  readonly device: string;
  /** Name → value in hex. */
  readonly xattrs: ReadonlyMap<string, string>;
  readonly content: Buffer;
}

const typeFlags = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
} as const satisfies Record<string, TarEntry["type"]>;

const xattrPrefix = "SCHILY.xattr.";

/** Entries in the order of the archive. @throws on a type that is none of a layer's */
export function readTar(archive: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  let extended = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= archive.length;) {
    const header = archive.subarray(at, at + 512);
    if (header.every((byte) => byte === 0)) break;
    const flag = header.toString("latin1", 156, 157);
    const stated = readNumber(header.subarray(124, 136));
    const size = Number(extended.get("size")?.toString() ?? stated);
    const content = archive.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    if (flag === "x") extended = new Map([...extended, ...readRecords(content)]);
    else if (flag === "L") extended.set("path", upToZero(content));
    else if (flag === "K") extended.set("linkpath", upToZero(content));
    else if (flag !== "g") {
      entries.push(readEntry({ header, content, flag, extended }));
      extended = new Map();
    }
  }
  return entries;
}

function readEntry(raw: {
  readonly header: Buffer;
  readonly content: Buffer;
  readonly flag: string;
  readonly extended: ReadonlyMap<string, Buffer>;
}): TarEntry {
  const { header, content, flag, extended } = raw;
  const type = typeFlags[flag as keyof typeof typeFlags] as TarEntry["type"] | undefined;
  if (type === undefined) throw new Error(`tar entry of type ${JSON.stringify(flag)}`);
  const number = (key: string, from: number, to: number): number =>
    Number(extended.get(key)?.toString() ?? readNumber(header.subarray(from, to)));
  const target = printable(extended.get("linkpath") ?? upToZero(header.subarray(157, 257)));
  const isDevice = type === "char" || type === "block";
  const major = String(readNumber(header.subarray(329, 337)));
  return {
    path: cleanPath(printable(extended.get("path") ?? readName(header))),
    type,
    mode: readNumber(header.subarray(100, 108)) & 0o7777,
    uid: number("uid", 108, 116),
    gid: number("gid", 116, 124),
    mtime: number("mtime", 136, 148),
    target: type === "hardlink" ? cleanPath(target) : target,
    device: isDevice ? `${major}:${String(readNumber(header.subarray(337, 345)))}` : "",
    xattrs: new Map(
      [...extended]
        .filter(([key]) => key.startsWith(xattrPrefix))
        .map(([key, value]) => [key.slice(xattrPrefix.length), value.toString("hex")]),
    ),
    content: type === "file" ? content : Buffer.alloc(0),
  };
}

function readName(header: Buffer): Buffer {
  const name = upToZero(header.subarray(0, 100));
  const prefix = upToZero(header.subarray(345, 500));
  // GNU's own format keeps times where ustar has the prefix.
  const isUstar = header.toString("latin1", 257, 263) === "ustar\0";
  return isUstar && prefix.length > 0 ? Buffer.concat([prefix, Buffer.from("/"), name]) : name;
}

function readNumber(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) {
    return Number.parseInt(field.toString("latin1").replace(/[\0 ]+$/, "") || "0", 8);
  }
  return [...field.subarray(1)].reduce((sum, byte) => sum * 256 + byte, (field[0] ?? 0) & 0x7f);
}

/** PAX records: `LENGTH KEY=VALUE\n`, the value any bytes. */
function* readRecords(content: Buffer): Iterable<[string, Buffer]> {
  for (let at = 0; at < content.length;) {
    const blank = content.indexOf(" ", at);
    const length = Number(content.toString("latin1", at, blank));
    const equals = content.indexOf("=", blank);
    const value = content.subarray(equals + 1, at + length - 1);
    yield [content.toString("utf8", blank + 1, equals), value];
    at += length;
  }
}

function upToZero(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

function printable(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (Buffer.from(text).equals(bytes)) return text;
  return bytes
    .toString("latin1")
    .replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

function cleanPath(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** What {@link writeTar} writes of an entry; the path stands in the archive exactly as it is given. */
export interface TarSource {
  readonly path: string;
  readonly type: TarEntry["type"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly target: string;
  readonly device: string;
  readonly xattrs: ReadonlyMap<string, string>;
  readonly content: Buffer;
}

/** A POSIX archive: ustar, with PAX records for what does not fit. */
export function writeTar(entries: readonly TarSource[]): Buffer {
  const blocks = entries.flatMap((entry) => [...writeEntry(entry)]);
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function* writeEntry(entry: TarSource): Iterable<Buffer> {
  const records = recordsOf(entry);
  if (records.length > 0) {
    const body = Buffer.concat(records);
    yield writeHeader({ ...entry, path: "PaxHeader", target: "", flag: "x", size: body.length });
    yield padded(body);
  }
  const flag = Object.entries(typeFlags).find(([, type]) => type === entry.type)?.[0] ?? "0";
  yield writeHeader({ ...entry, flag, size: entry.content.length });
  yield padded(entry.content);
}

function recordsOf(entry: TarSource): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: Buffer | string): void => {
    records.push(writeRecord(key, Buffer.from(value)));
  };
  if (Buffer.byteLength(entry.path) > 100 || /[^ -~]/.test(entry.path)) add("path", entry.path);
  if (Buffer.byteLength(entry.target) > 100 || /[^ -~]/.test(entry.target)) {
    add("linkpath", entry.target);
  }
  if (entry.uid > 0o7777777) add("uid", String(entry.uid));
  if (entry.gid > 0o7777777) add("gid", String(entry.gid));
  if (!Number.isInteger(entry.mtime)) add("mtime", String(entry.mtime));
  for (const [name, hex] of entry.xattrs) add(`${xattrPrefix}${name}`, Buffer.from(hex, "hex"));
  return records;
}

function writeRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  // The length counts its own digits.
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function writeHeader(entry: TarSource & { readonly flag: string; readonly size: number }): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number): void => {
    header.write(value.toString(8).padStart(width - 1, "0"), at, width - 1, "latin1");
  };
  header.write(entry.path, 0, 100);
  octal(entry.mode, 100, 8);
  octal(Math.min(entry.uid, 0o7777777), 108, 8);
  octal(Math.min(entry.gid, 0o7777777), 116, 8);
  octal(entry.size, 124, 12);
  octal(Math.floor(entry.mtime), 136, 12);
  header.fill(" ", 148, 156);
  header.write(entry.flag, 156, 1, "latin1");
  header.write(entry.target, 157, 100);
  header.write("ustar\x0000", 257, 8, "latin1");
  const [major = "0", minor = "0"] = entry.device.split(":");
  octal(Number(major), 329, 8);
  octal(Number(minor), 337, 8);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return header;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
