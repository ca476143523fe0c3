import { readFileSync } from "node:fs";
import type { JsonValue } from "../core/index.ts";
import { snapshotError } from "./errors.ts";
import { type Looks, plainLooks } from "./looks.ts";
import { LooksBook } from "./looks-book.ts";

/**
 * The sidecar of a layer: one line of JSON with the distinct looks, then every node that has one of them, by path. A path
 * is told as its difference from the one before, so that 200,000 files of one owner are their names and four bytes each:
 *
 * ```
 * {"version":1,"owners":"disk","nodes":2,"looks":[{"uid":1000,"gid":1000}]}\n
 * (index of looks) (bytes kept of the path before) (length of the rest) (the rest) …
 * ```
 *
 * Numbers are in base 128, lowest part first, the top bit set on all bytes but the last. Paths are bytes in any order.
 */
export function formatLooks(book: LooksBook): Buffer {
  const indexes = new Map<Looks, number>();
  const chunks: Buffer[] = [];
  let before = "";
  // Latin-1 strings sort as their bytes do, and neighbours have the most in common.
  for (const [path, looks] of [...book].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const index = indexes.get(looks) ?? indexes.size;
    indexes.set(looks, index);
    let kept = 0;
    while (kept < before.length && before.charCodeAt(kept) === path.charCodeAt(kept)) kept++;
    const rest = Buffer.from(path.slice(kept), "latin1");
    const numbers = [index, kept, rest.length].flatMap(base128);
    chunks.push(Buffer.from(numbers), rest);
    before = path;
  }
  const owners = book.hasOwnersOnDisk ? "disk" : "root";
  const looks = [...indexes.keys()].map(writeLooks);
  const head = JSON.stringify({ version: 1, owners, nodes: book.size, looks });
  return Buffer.concat([Buffer.from(`${head}\n`), ...chunks]);
}

/** @throws SNAPSHOT_LOOKS_BROKEN when the file is not there, cut short, or of another version */
export function readLooks(path: string): LooksBook {
  try {
    return parseLooks(readFileSync(path));
  } catch (cause) {
    throw snapshotError("SNAPSHOT_LOOKS_BROKEN", `read ${path}: owners and modes are unreadable`, {
      hint: "remove the images that use this layer, then build or pull them again",
      details: { path },
      cause,
    });
  }
}

function parseLooks(bytes: Buffer): LooksBook {
  const head = bytes.indexOf(0x0a);
  const {
    version,
    owners,
    nodes,
    looks: table,
  } = JSON.parse(bytes.toString("utf8", 0, head)) as Head;
  if (version !== 1 || !Array.isArray(table)) throw new RangeError("another version");
  const looks = table.map(parseOneLooks);
  const book = new LooksBook(owners === "disk");
  let position = head + 1;
  const number = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = bytes[position++];
      if (byte === undefined) throw new RangeError("cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  let path = "";
  for (let node = 0; node < nodes; node++) {
    const found = looks[number()];
    if (found === undefined) throw new RangeError("looks that are not in the table");
    const kept = number();
    const length = number();
    path = path.slice(0, kept) + bytes.toString("latin1", position, position + length);
    position += length;
    if (position > bytes.length) throw new RangeError("cut short");
    book.set(path, found);
  }
  if (position !== bytes.length) throw new RangeError("more than was promised");
  return book;
}

interface Head {
  readonly version: JsonValue;
  readonly owners: JsonValue;
  readonly nodes: number;
  readonly looks: JsonValue;
}

function base128(number: number): number[] {
  const bytes: number[] = [];
  let rest = number;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** What is undefined JSON leaves out. */
function writeLooks({ xattrs, ...looks }: Looks): object {
  if (xattrs === undefined) return looks;
  const values = [...xattrs].map(([name, value]) => [name, value.toString("base64")]);
  return { ...looks, xattrs: values };
}

function parseOneLooks(written: JsonValue): Looks {
  const { xattrs, ...looks } = written as Partial<Looks> & { xattrs?: readonly [string, string][] };
  if (xattrs === undefined) return { ...plainLooks, ...looks };
  const values = xattrs.map(([name, value]) => [name, Buffer.from(value, "base64")] as const);
  return { ...plainLooks, ...looks, xattrs: new Map(values) };
}
