import { mkdir, mkdtemp, open, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf, loadSyscalls, removeTree, type Syscalls } from "../../src/core/index.ts";
import { layerTarChunks, toRootPath } from "../../src/layer/index.ts";
import { DirectDisk } from "../../src/snapshot/direct-disk.ts";
import { openLayerLog } from "../../src/snapshot/layer-log.ts";
import { overlayEntries } from "../../src/snapshot/overlay-diff.ts";
import { StackTree } from "../../src/snapshot/stack-tree.ts";
import { LayerWriter } from "../../src/snapshot/tree-writer.ts";
import { collect } from "../support/collect.ts";

let folder: string;
let kernel: Syscalls;
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-log-"));
  kernel = await loadSyscalls();
});
afterAll(async () => removeTree(folder));

const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000_123_456_789n };
const shared = { ...plain, mode: 0o755 };

/** What the log says about a layer that `write` writes, and what a walk finds. */
async function logged(write: (writer: LayerWriter) => Promise<void>) {
  const directory = join(folder, String(count++));
  await mkdir(directory);
  const disk = new DirectDisk(kernel, Buffer.from(directory));
  const log = openLayerLog(disk);
  // As a snapshot on nothing begins.
  kernel.utimens(directory, { mtime: 0n });
  const lower = new StackTree([]);
  const writer = new LayerWriter({ disk, lower, form: "overlay", log });
  await write(writer);
  await writer.finish();
  const result = log?.result();
  const tar = Buffer.concat(await collect(layerTarChunks(overlayEntries({ disk, lower }))));
  return { log: result, walk: { diffId: digestOf(tar), tarSize: tar.length } };
}

const at = toRootPath;
/** user::rwx, user:7:rwx, group::r-x, mask::rwx, other::r-x */
const defaultAcl = Buffer.from(
  "0200000001000700ffffffff020007000700000004000500ffffffff10000700ffffffff20000500ffffffff",
  "hex",
);

describe("a layer that is written in the order of its tar needs no walk", () => {
  const orders: Readonly<Record<string, (writer: LayerWriter) => Promise<void>>> = {
    "nothing at all": async () => undefined,
    "implied parents": async (writer) => writer.file(at("a/b/c"), plain, Buffer.from("1")),
    "children before names that only begin alike": async (writer) => {
      await writer.file(at("a/z"), plain, Buffer.from("1"));
      await writer.file(at("a-b"), plain, Buffer.alloc(0));
      await writer.file(at("a.c/z"), plain, Buffer.from("1"));
    },
    "every kind of node": async (writer) => {
      await writer.directory(at("d"), { ...shared, mode: 0o1777, uid: 1000, gid: 50 });
      await writer.device(at("d/b"), plain, { type: "block-device", major: 8, minor: 1 });
      await writer.device(at("d/c"), plain, { type: "char-device", major: 1, minor: 3 });
      await writer.fifo(at("d/f"), plain);
      await writer.symlink(at("d/l"), { ...plain, uid: 5 }, Buffer.from("/nowhere"));
      await writer.file(at("d/setuid"), { ...plain, mode: 0o4755, uid: 7 }, Buffer.from("su"));
      await writer.file(at("d/x"), plain, Buffer.from("x"));
    },
    "hard links": async (writer) => {
      await writer.file(at("a"), { ...plain, gid: 3 }, Buffer.from("1"));
      await writer.hardlink(at("b"), at("a"));
      await writer.hardlink(at("c/d"), at("b"));
      await writer.symlink(at("e"), plain, Buffer.from("a"));
      await writer.hardlink(at("f"), at("e"));
    },
    "attributes and capabilities": async (writer) => {
      const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
      const user = new Map([["user.x", Buffer.from([0, 255])]]);
      await writer.directory(at("d"), { ...shared, xattrs: user });
      const xattrs = new Map([...user, ["security.capability", capability]]);
      await writer.file(at("d/f"), { ...plain, xattrs }, Buffer.from("1"));
      const foreign = new Map([["security.selinux", Buffer.from("label")]]);
      await writer.file(at("d/g"), { ...plain, xattrs: foreign }, Buffer.from("1"));
    },
    "large files, streams, odd times": async (writer) => {
      const large = Buffer.alloc(700_000, "abc");
      await writer.file(at("a"), plain, large);
      await writer.file(at("b"), { ...plain, mtime: -5n }, Buffer.from("old"));
      await writer.file(at("c"), { ...plain, mtime: 2n ** 62n }, Buffer.from("late"));
      await writer.file(at("d"), plain, Readable.from([Buffer.from("x"), Buffer.from("y")]));
    },
    "directories in one that hands on its group": async (writer) => {
      await writer.directory(at("d"), { ...shared, mode: 0o2775, gid: 50 });
      await writer.directory(at("d/e"), { ...shared, mode: 0o777 });
      await writer.file(at("d/e/f"), { ...plain, mode: 0o666 }, Buffer.from("1"));
      await writer.directory(at("d/g"), { ...shared, mode: 0o2750 });
      await writer.directory(at("d/g/h"), { ...shared, mtime: -5n });
    },
    "nodes in a directory that hands on an ACL": async (writer) => {
      const xattrs = new Map([["system.posix_acl_default", defaultAcl]]);
      await writer.directory(at("d"), { ...shared, xattrs });
      await writer.directory(at("d/e"), { ...shared, mode: 0o777 });
      await writer.fifo(at("d/f"), plain);
      await writer.file(at("d/g"), { ...plain, mode: 0o666 }, Buffer.from("1"));
    },
    "a directory that gets its looks before its content": async (writer) => {
      await writer.directory(at("d"), shared);
      await writer.setAttributes(at("d"), { mtime: 42n, mode: 0o700 });
      await writer.directory(at("d"), { ...shared, uid: 9 });
      await writer.file(at("d/a"), plain, Buffer.from("1"));
    },
  };
  for (const [name, write] of Object.entries(orders)) {
    test(name, async () => {
      const { log, walk } = await logged(write);
      expect(log).toMatchObject(walk);
    });
  }
});

describe("everything else needs one", () => {
  const orders: Readonly<Record<string, (writer: LayerWriter) => Promise<void>>> = {
    "another order": async (writer) => {
      await writer.file(at("b"), plain, Buffer.from("1"));
      await writer.file(at("a"), plain, Buffer.from("1"));
    },
    "a file twice": async (writer) => {
      await writer.file(at("a"), plain, Buffer.from("1"));
      await writer.file(at("a"), plain, Buffer.from("2"));
    },
    "other looks for a file": async (writer) => {
      await writer.file(at("a"), plain, Buffer.from("1"));
      await writer.setAttributes(at("a"), { mode: 0o600 });
    },
    "other looks for a directory, after its content": async (writer) => {
      await writer.directory(at("d"), shared);
      await writer.file(at("d/a"), plain, Buffer.from("1"));
      await writer.setAttributes(at("d"), { mtime: 42n });
    },
    "something removed": async (writer) => {
      await writer.file(at("a"), plain, Buffer.from("1"));
      await writer.remove(at("a"));
    },
    "a file that failed half-way": async (writer) => {
      const broken = Readable.from(
        (function* () {
          yield Buffer.from("x");
          throw new Error("broken");
        })(),
      );
      await expect(writer.file(at("a"), plain, broken)).rejects.toThrow("broken");
    },
    "a new root": async (writer) => writer.setAttributes(at(""), { mode: 0o700 }),
    "work after the end": async (writer) => {
      await writer.finish();
      await writer.file(at("a"), plain, Buffer.from("1"));
    },
  };
  for (const [name, write] of Object.entries(orders)) {
    test(name, async () => {
      const { log } = await logged(write);
      expect(log).toBeUndefined();
    });
  }

  test("a directory whose ACL new files inherit", async () => {
    const directory = join(folder, "acl");
    await mkdir(directory);
    kernel.lsetxattr(directory, "system.posix_acl_default", defaultAcl);
    expect(openLayerLog(new DirectDisk(kernel, Buffer.from(directory)))).toBeUndefined();
  });
});

test("a large file has the mode that was asked for, not that of its source", async () => {
  const source = join(folder, "source");
  await writeFile(source, Buffer.alloc(2_000_000, "x"), { mode: 0o644 });
  const write = async (writer: LayerWriter): Promise<void> => {
    const handle = await open(source);
    try {
      const content = { fd: handle.fd, size: 2_000_000 };
      await writer.file(at("b"), { ...plain, mode: 0o600 }, content);
      // Out of order, so that the kernel copies.
      await writer.file(at("a"), { ...plain, mode: 0o4700 }, content);
    } finally {
      await handle.close();
    }
    expect(await modesInLayer()).toEqual([0o4700, 0o600]);
  };
  await logged(write);
});

async function modesInLayer(): Promise<number[]> {
  const directory = join(folder, String(count - 1));
  const stats = await Promise.all(["a", "b"].map(async (name) => stat(join(directory, name))));
  return stats.map(({ mode }) => mode & 0o7777);
}

test("in whatever order the nodes come, the log is right or says nothing", async () => {
  const name = fc.constantFrom("a", "a-", "a.b", "b", "\u{ff}", "a\u{1}");
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  let agreed = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(path, { maxLength: 6 }), fc.boolean(), async (paths, sort) => {
      const slashFirst = (text: string) => text.replaceAll("/", "\0");
      const compare = (x: string, y: string) =>
        Buffer.from(slashFirst(x)).compare(Buffer.from(slashFirst(y)));
      const { log, walk } = await logged(async (writer) => {
        for (const text of sort ? paths.toSorted(compare) : paths) {
          // A file in the way is replaced or refuses; both end the log.
          await writer.file(at(text), plain, Buffer.from(text)).catch(() => undefined);
        }
      });
      if (log === undefined) return;
      agreed++;
      expect(log).toMatchObject(walk);
    }),
    { numRuns: 80 },
  );
  expect(agreed).toBeGreaterThan(0);
});
