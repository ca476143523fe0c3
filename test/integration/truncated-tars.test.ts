import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { raw } from "../../fixtures/hostile/index.ts";
import { openDirectoryContext } from "../../src/context/index.ts";
import { isTsbuildError } from "../../src/core/index.ts";
import { compressZstd, openLayer } from "../../src/layer/index.ts";
import { pseudoRandom } from "../support/random.ts";
import { expectCli, runCli } from "../support/cli.ts";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { doors } from "../support/hostile-doors.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const { blockSize, device, directory, endMark, file, gnuLong, hardlink, header, pax, symlink } =
  raw;

/** Entries of every type, each with its extension headers. */
const entries: readonly Buffer[] = [
  directory("d/"),
  file("d/empty", ""),
  file("d/small"),
  file("d/blocks", "three blocks and some".repeat(70)),
  Buffer.concat([pax([["path", `d/${"p".repeat(200)}`]]), file("x")]),
  Buffer.concat([gnuLong("L", `d/${"l".repeat(200)}`), file("x")]),
  Buffer.concat([pax([["SCHILY.xattr.user.note", Buffer.from([0, 255])]]), file("d/noted")]),
  symlink("d/link", "small"),
  symlink("d/far", "t/".repeat(80)),
  hardlink("d/hard", "d/small"),
  header({ name: "d/pipe", type: "6" }),
  device("3", "d/null", [1, 3]),
  file("last", "end"),
];
const whole = Buffer.concat([...entries, endMark]);

/** Where an archive may end without anybody noticing: behind an entry, and within the mark of the end. */
const ends = new Set<number>();
const endOfEntries = entries.reduce((end, entry) => {
  ends.add(end + entry.length);
  return end + entry.length;
}, 0);
const mayEndAt = (cut: number): boolean => cut > endOfEntries || ends.has(cut);

const random = pseudoRandom(Number(process.env["TSBUILD_TEST_SEED"] ?? 1));
const cuts = Array.from({ length: whole.length / blockSize + 1 }, (_, index) => index * blockSize)
  .concat(Array.from({ length: 12 }, () => Math.floor(random() * whole.length)))
  // Less than a header is no archive to ADD and to contexts, but a file.
  .filter((cut) => cut >= blockSize && cut < whole.length);

const honest =
  /^(LAYER_TRUNCATED|LAYER_HEADER_INVALID|LAYER_COMPRESSION_INVALID|CONTEXT_ARCHIVE_INVALID)$/;

let harness: CopyHarness;
beforeEach(async () => {
  harness = await openCopyHarness();
});

/** Nothing of what failed is kept, and nothing is left lying about. */
async function expectNothingLeft(): Promise<void> {
  const { store, snapshots } = harness.environment;
  for await (const snapshot of snapshots.list()) expect(snapshot).toBeUndefined();
  const left = readdirSync(store.tmpDir).filter((name) => /^(snapshot|blob|write)-/.test(name));
  expect(left).toEqual([]);
}

describe.each(["layer", "add", "context"] as const)("as %s", (door) => {
  test("an archive that was cut anywhere is told as such, or ends behind an entry", async () => {
    for (const cut of cuts) {
      const result = await doors[door](harness, { tar: whole.subarray(0, cut) }).catch(
        (error: unknown) => error,
      );
      if (!(result instanceof Error)) {
        expect(mayEndAt(cut), `cut at ${String(cut)} is taken`).toBe(true);
        continue;
      }
      if (!isTsbuildError(result)) throw result;
      expect(result.code, `cut at ${String(cut)}: ${result.message}`).toMatch(honest);
      expect(result.message).not.toBe("");
    }
  });
});

test.each(["gzip", "zstd"] as const)("a %s layer that was cut keeps nothing", async (name) => {
  const packed = name === "gzip" ? gzipSync(whole) : await packZstd(whole);
  const { snapshots } = harness.environment;
  for (let cut = 1; cut < packed.length; cut += Math.ceil(packed.length / 40)) {
    const applied = (async () =>
      snapshots.apply(undefined, await openLayer(Readable.from([packed.subarray(0, cut)]))))();
    const error = await applied.catch((reason: unknown) => reason);
    if (!isTsbuildError(error)) throw new Error(`cut at ${String(cut)}`, { cause: error });
    expect(error.code, `cut at ${String(cut)}: ${error.message}`).toMatch(honest);
    await expectNothingLeft();
  }
});

test("an archive that ADD unpacks and that was cut keeps nothing", async () => {
  const folder = await temporaryFolder();
  const packed = gzipSync(whole);
  for (const part of [0.3, 0.6, 0.9, 0.99]) {
    writeFileSync(join(folder, "a.tgz"), packed.subarray(0, packed.length * part));
    const from = await openDirectoryContext({ directory: folder });
    const made = harness.copy({ from, sources: ["a.tgz"], destination: "/", unpack: true });
    const error = await made.catch((reason: unknown) => reason);
    if (!isTsbuildError(error)) throw new Error(`${String(part)} of it`, { cause: error });
    expect(error.code).toMatch(honest);
    await expectNothingLeft();
  }
});

describe("on the command line", () => {
  test("what `load` and a context from standard input were given in part leaves a true store", async () => {
    const folder = await temporaryFolder();
    const root = join(folder, "root");
    writeFileSync(join(folder, "f"), "x".repeat(5000));
    writeFileSync(join(folder, "Dockerfile"), "FROM scratch\nCOPY f /f\n");
    const built = join(folder, "built");
    await expectCli(["-t", "a:1", folder], { root: built });
    await expectCli(["save", "-o", join(folder, "a.tar"), "a:1"], { root: built });
    const archive = readFileSync(join(folder, "a.tar"));
    const context = Buffer.concat([
      file("Dockerfile", "FROM scratch\nCOPY f /f\n"),
      file("f", "y".repeat(5000)),
      endMark,
    ]);
    const inputs = [
      { args: ["load"], bytes: archive },
      { args: ["load"], bytes: gzipSync(archive) },
      { args: ["-t", "b:1", "-"], bytes: context },
      { args: ["-t", "b:1", "-"], bytes: gzipSync(context) },
    ];
    for (const { args, bytes } of inputs) {
      for (const part of [0.2, 0.5, 0.7]) {
        const input = bytes.subarray(0, bytes.length * part);
        const { code, stderr } = await runCli(args, { root, input });
        expect(code, `${String(part)} for ${args.join(" ")}`).toBe(1);
        expect(stderr).toMatch(/^tsbuild: .*\[[A-Z_]+\]$/m);
        expect(stderr).not.toMatch(/INTERNAL|^\s+at /m);
      }
    }
    await expectCli(["system", "verify"], { root });
    const { stdout } = await runCli(["images", "-q"], { root });
    expect(stdout.trim()).toBe("");
    // What comes behind the end is nobody's.
    const trailing = Buffer.concat([archive, Buffer.alloc(1500, 0x55)]);
    await expectCli(["load"], { root, input: trailing });
  });
});

async function packZstd(bytes: Buffer): Promise<Buffer> {
  return buffer(compressZstd(Readable.from([bytes]), 3));
}
