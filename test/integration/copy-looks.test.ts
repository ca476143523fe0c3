import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  constants,
  linkSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import { loadSyscalls } from "../../src/core/index.ts";
import { collect } from "../support/collect.ts";
import { openCopyHarness } from "../support/copy-harness.ts";
import { directoryEntry, fifoEntry, fileEntry, symlinkEntry } from "../support/layer-entries.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const aclTags: Readonly<Record<string, number>> = { u: 1, user: 2, g: 4, mask: 16, o: 32 };

/** An ACL as the kernel keeps it, of entries such as `u7`, `mask5` or `user1234:6`. */
function accessAcl(entries: string): Map<string, Buffer> {
  const parts = entries.split(" ").map((entry) => {
    const [, tag = "", id, permissions] = /^([a-z]+)(?:(\d+):)?(\d)$/.exec(entry) ?? [];
    const part = Buffer.alloc(8);
    part.writeUInt16LE(aclTags[tag] ?? 0, 0);
    part.writeUInt16LE(Number(permissions), 2);
    part.writeUInt32LE(id === undefined ? 0xffff_ffff : Number(id), 4);
    return part;
  });
  return new Map([["system.posix_acl_access", Buffer.concat([Buffer.of(2, 0, 0, 0), ...parts])]]);
}

function hexOf(xattrs: ReadonlyMap<string, Buffer>): string {
  return Buffer.concat([...xattrs.values()]).toString("hex");
}

describe("from a stage", () => {
  test("times are kept to the nanosecond, before 1970 and after 2106 too [3.57]", async () => {
    const harness = await openCopyHarness();
    const times = [-1n, 1n, 1_600_000_000_123_456_789n, 5_000_000_000_000_000_001n];
    const from = await harness.layers(
      times.flatMap((mtime, index) => [
        fileEntry(`d/f${String(index)}`, "", { mtime }),
        symlinkEntry(`d/l${String(index)}`, "x", { mtime }),
        directoryEntry(`d/n${String(index)}`, { mtime }),
      ]),
    );
    const made = await harness.copy({ from, sources: ["d"], destination: "/" });
    const nodes = await harness.nodes(made);
    for (const [index, mtime] of times.entries())
      for (const kind of ["f", "l", "n"])
        expect(nodes[`${kind}${String(index)}`]).toContain(` @${String(mtime)}`);
  });

  test("large owners, setuid, setgid, sticky and modes without any bit are kept [3.57]", async () => {
    const harness = await openCopyHarness();
    const from = await harness.layers([
      fileEntry("d/suid", "", { mode: 0o6755, uid: 2_000_000_000, gid: 1_999_999_999 }),
      directoryEntry("d/sticky", { mode: 0o3777 }),
      fileEntry("d/none", "", { mode: 0 }),
      fifoEntry("d/pipe", { mode: 0o622, uid: 4 }),
    ]);
    const made = await harness.copy({ from, sources: ["d"], destination: "/" });
    expect(await harness.nodes(made)).toEqual({
      none: "file 0 0:0 @0",
      pipe: "fifo 622 4:0 @0",
      sticky: "directory 3777 0:0 @0",
      suid: "file 6755 2000000000:1999999999 @0",
    });
  });

  test("names that are no text are kept, also at the top and behind a wildcard", async () => {
    const harness = await openCopyHarness();
    const name = Buffer.from([0x66, 0xff, 0xc3]);
    const below = Buffer.concat([Buffer.from("d/"), name]);
    const from = await harness.layers([fileEntry(name, "1"), fileEntry(below, "2")]);
    const deep = await harness.copy({ from, sources: ["d"], destination: "/" });
    expect(await harness.nodes(deep)).toEqual({ "f\\xff\\xc3": "file 644 0:0 @0 2" });
    const top = await harness.copy({ from, sources: ["f*"], destination: "/n/" });
    expect((await harness.nodes(top))["n/f\\xff\\xc3"]).toBe("file 644 0:0 @0 1");
  });

  test("attributes and capabilities are kept, also by a file that gets another owner and mode [3.48, 3.57]", async () => {
    const harness = await openCopyHarness();
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
    const xattrs = new Map([
      ["user.binary", Buffer.from([0, 255, 10])],
      ["security.capability", capability],
    ]);
    const from = await harness.layers([
      fileEntry("d/tool", "t", { mode: 0o755, xattrs }),
      directoryEntry("d/n", { xattrs: new Map([["user.n", Buffer.from("1")]]) }),
    ]);
    const flags = { chown: "5:6", chmod: "4755" };
    const made = await harness.copy({ from, sources: ["d"], destination: "/", ...flags });
    const hex = capability.toString("hex");
    expect(await harness.nodes(made)).toEqual({
      n: "directory 4755 5:6 @0 [user.n=31]",
      tool: `file 4755 5:6 @0 t [security.capability=${hex}] [user.binary=00ff0a]`,
    });
  });

  test("--chmod gives the mode that it says to what has an ACL, too, and the ACL fits it", async () => {
    const harness = await openCopyHarness();
    const from = await harness.layers([
      fileEntry("d/file", "f", { mode: 0o674, xattrs: accessAcl("u6 user1234:7 g4 mask7 o4") }),
      fileEntry("d/short", "s", { mode: 0o640, xattrs: accessAcl("u6 g4 o0") }),
      directoryEntry("d/n", { mode: 0o775, xattrs: accessAcl("u7 user1234:7 g5 mask7 o5") }),
    ]);
    const made = await harness.copy({ from, sources: ["d"], destination: "/", chmod: "601" });
    const shown = (acl: string) => `[system.posix_acl_access=${hexOf(accessAcl(acl))}]`;
    expect(await harness.nodes(made)).toEqual({
      file: `file 601 0:0 @0 f ${shown("u6 user1234:7 g4 mask0 o1")}`,
      n: `directory 601 0:0 @0 ${shown("u6 user1234:7 g5 mask0 o1")}`,
      // With three entries an ACL says no more than a mode, and the kernel keeps none.
      short: "file 601 0:0 @0 s",
    });
  });

  test("an existing directory with an ACL gets the mode of the copied one", async () => {
    const harness = await openCopyHarness();
    const acl = accessAcl("u7 user1234:7 g5 mask7 o5");
    const base = await harness.layers([directoryEntry("n", { mode: 0o775, xattrs: acl })]);
    const from = await harness.layers([directoryEntry("d/n", { mode: 0o710 })]);
    const made = await harness.copy({ base, from, sources: ["d"], destination: "/" });
    const fitted = hexOf(accessAcl("u7 user1234:7 g5 mask1 o0"));
    expect(await harness.nodes(made)).toEqual({
      n: `directory 710 0:0 @0 [system.posix_acl_access=${fitted}]`,
    });
  });

  test("an existing directory keeps attributes that the copied one does not have", async () => {
    const harness = await openCopyHarness();
    const one = (name: string, value: string) => new Map([[name, Buffer.from(value)]]);
    const base = await harness.layers([
      directoryEntry("n", { xattrs: new Map([...one("user.own", "o"), ...one("user.both", "b")]) }),
      fileEntry("n/f", "old", { xattrs: one("user.own", "o") }),
    ]);
    const from = await harness.layers([
      directoryEntry("d/n", { xattrs: one("user.both", "c") }),
      fileEntry("d/n/f", "new"),
    ]);
    const made = await harness.copy({ base, from, sources: ["d"], destination: "/" });
    expect(await harness.nodes(made)).toEqual({
      n: "directory 755 0:0 @0 [user.both=63] [user.own=6f]",
      "n/f": "file 644 0:0 @0 new",
    });
  });

  test("a socket is left out, as no layer can hold it", async () => {
    const harness = await openCopyHarness();
    const { snapshots } = harness.environment;
    const active = await snapshots.prepare(undefined);
    const kernel = await loadSyscalls();
    mkdirSync(join(active.directory, "d"));
    const socket = Buffer.from(join(active.directory, "d/socket"));
    kernel.mknod(socket, { mode: constants.S_IFSOCK | 0o600, major: 0, minor: 0 });
    const { chainId, diffId, created } = await snapshots.commit(active);
    const from = { type: "layers", chainId, diffIds: [diffId], created } as const;
    expect(await harness.nodes(from)).toHaveProperty("d/socket");
    const made = await harness.copy({ from, sources: ["d", "d/socket"], destination: "/n/" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["n"]);
  });

  test("files of all sizes arrive whole", async () => {
    const harness = await openCopyHarness();
    const sizes = [0, 1, 511, 512, 4096, 1_048_576, 1_048_577, 5_000_001];
    const contents = sizes.map((size) => Buffer.alloc(size, `${String(size)}.`));
    const entries = contents.map((content) => fileEntry(`d/${String(content.length)}`, content));
    const from = await harness.layers(entries);
    const made = await harness.copy({ from, sources: ["d"], destination: "/d" });
    expect(await harness.nodes(made)).toEqual(await harness.nodes(from));
  });
});

describe("from a directory of the host", () => {
  test("everything is root's; modes, times and attributes are the files' [3.48, 3.57, 6.10]", async () => {
    const directory = await temporaryFolder();
    mkdirSync(join(directory, "d"));
    writeFileSync(join(directory, "d/file"), "f");
    linkSync(join(directory, "d/file"), join(directory, "d/again"));
    symlinkSync("file", join(directory, "d/link"));
    execFileSync("mkfifo", [join(directory, "d/pipe")]);
    for (const name of ["d", "d/file", "d/pipe"]) chownSync(join(directory, name), 1234, 5678);
    chmodSync(join(directory, "d/file"), 0o4751);
    chmodSync(join(directory, "d/pipe"), 0o600);
    const kernel = await loadSyscalls();
    kernel.lsetxattr(join(directory, "d/file"), "user.note", Buffer.from("n"));
    for (const name of ["d/file", "d/link", "d/pipe"])
      kernel.utimens(join(directory, name), { mtime: 1_111_111_111_222_333_444n });
    const harness = await openCopyHarness();
    const from = await openDirectoryContext({ directory });
    const made = await harness.copy({ from, sources: ["d"], destination: "/" });
    const time = "@1111111111222333444";
    expect(await harness.nodes(made)).toEqual({
      again: `file 4751 0:0 ${time} f [user.note=6e]`,
      file: `hardlink 4751 0:0 ${time} -> again`,
      link: `symlink 777 0:0 ${time} -> file`,
      pipe: `fifo 600 0:0 ${time}`,
    });
  });

  test("a socket arrives as an empty file [3.48]", async () => {
    const directory = await temporaryFolder();
    const server = createServer().listen(join(directory, "socket"));
    onTestFinished(() => void server.close());
    await once(server, "listening");
    chmodSync(join(directory, "socket"), 0o755);
    utimesSync(join(directory, "socket"), 7, 7);
    const harness = await openCopyHarness();
    const from = await openDirectoryContext({ directory });
    const made = await harness.copy({ from, sources: ["."], destination: "/" });
    expect(await harness.nodes(made)).toEqual({ socket: "file 755 0:0 @7000000000" });
  });

  test("what the ignore file names is not there, not even behind a link [5.13]", async () => {
    const directory = await temporaryFolder();
    writeFileSync(join(directory, ".dockerignore"), "secret\n.dockerignore\n");
    writeFileSync(join(directory, "secret"), "s");
    symlinkSync("secret", join(directory, "link"));
    const harness = await openCopyHarness();
    const from = await openDirectoryContext({ directory });
    const made = await harness.copy({ from, sources: ["."], destination: "/" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["link"]);
    await expect(
      harness.copy({ from, sources: ["link"], destination: "/x" }),
    ).rejects.toMatchObject({ code: "CONTEXT_SOURCE_NOT_FOUND" });
  });
});

describe("layers are the same", () => {
  async function fill(directory: string, order: readonly string[]): Promise<void> {
    const kernel = await loadSyscalls();
    for (const path of order) {
      mkdirSync(join(directory, path, ".."), { recursive: true });
      writeFileSync(join(directory, path), path);
    }
    for (const path of [...order, ...order.map((file) => join(file, ".."))]) {
      chmodSync(join(directory, path), path.includes("/tool") ? 0o755 : 0o750);
      kernel.utimens(join(directory, path), { mtime: 42_000_000_001n });
    }
  }

  test("whatever the root, the order of creation and the umask", async () => {
    const paths = Array.from(
      { length: 40 },
      (_, index) => `d/${String(index % 7)}/tool${String(index)}`,
    );
    const shuffled = [...paths].reverse().sort((a, b) => a.charCodeAt(4) - b.charCodeAt(4));
    const orders = [paths, shuffled];
    const results: unknown[] = [];
    for (const [index, order] of orders.entries()) {
      const previous = process.umask(index === 0 ? 0o022 : 0o077);
      try {
        const directory = await temporaryFolder();
        await fill(directory, order);
        const harness = await openCopyHarness();
        const from = await openDirectoryContext({ directory });
        const base = await harness.layers([directoryEntry("srv", { mtime: 3n })]);
        const copied = await harness.copy({ base, from, sources: ["d"], destination: "/srv/x/" });
        const sources = [{ name: "EOF", content: "1" }];
        const inline = await harness.copy({ base: copied, sources, destination: "/new/f" });
        const made = await harness.workdir("/srv/x/y/z", { base: inline, user: "5" });
        results.push(made.diffIds);
      } finally {
        process.umask(previous);
      }
    }
    expect(results[0]).toEqual(results[1]);
  });
});

test("a copy that is canceled stops soon, and leaves no layer", async () => {
  const directory = await temporaryFolder();
  for (let index = 0; index < 3000; index++) writeFileSync(join(directory, String(index)), "x");
  const controller = new AbortController();
  const harness = await openCopyHarness({ signal: controller.signal });
  const from = await openDirectoryContext({ directory });
  const copying = harness.copy({ from, sources: ["."], destination: "/" });
  // In the middle: at the first turn that finds some files made.
  const { tmpDir } = harness.environment.store;
  const abortLater = (): void => {
    if (readdirSync(tmpDir, { recursive: true }).length < 10) setImmediate(abortLater);
    else controller.abort(new Error("enough"));
  };
  abortLater();
  await expect(copying).rejects.toThrow("enough");
  expect(await collect(harness.environment.snapshots.list())).toEqual([]);
});
