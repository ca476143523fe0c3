import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copyBytes, SparseFileWriter } from "../../../src/core/index.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const piece = 64 * 1024;

async function newFile(): Promise<{ readonly path: string; readonly fd: number }> {
  const path = join(await temporaryFolder(), "file");
  return { path, fd: openSync(path, "wx", 0o640) };
}

describe("a file whose zeros are not written", () => {
  const x = Buffer.alloc(piece, "x");
  const zeros = Buffer.alloc(5 * piece);
  test.each<readonly [string, readonly Buffer[]]>([
    ["nothing", []],
    ["zeros alone", [zeros, zeros]],
    ["zeros between", [x, zeros, x]],
    ["zeros at both ends", [zeros, x, zeros]],
    ["zeros within one part", [Buffer.concat([x, zeros, x, zeros])]],
    ["a few zeros", [Buffer.alloc(100), Buffer.from("x"), Buffer.alloc(100)]],
    ["zeros that fit no piece", [Buffer.from("ab"), zeros.subarray(7), Buffer.from("c"), zeros]],
  ])("reads as it was told: %s", async (_name, parts) => {
    const { path, fd } = await newFile();
    const writer = new SparseFileWriter(fd);
    for (const part of parts) await writer.write(part);
    await writer.finish();
    closeSync(fd);
    expect(readFileSync(path).equals(Buffer.concat(parts))).toBe(true);
  });

  test("takes no room for them", async () => {
    const { fd } = await newFile();
    const writer = new SparseFileWriter(fd);
    await writer.write(x);
    for (let round = 0; round < 100; round += 1) await writer.write(zeros);
    await writer.write(x);
    await writer.finish();
    const { size, blocks } = fstatSync(fd);
    closeSync(fd);
    expect(size).toBe(502 * piece);
    expect(blocks * 512).toBeLessThan(10 * piece);
  });
});

describe("a copy of a file", () => {
  test("keeps its own mode and owner, not those of the source", async () => {
    const isRoot = process.getuid?.() === 0;
    const source = join(await temporaryFolder(), "source");
    writeFileSync(source, Buffer.alloc(3e6, "y"));
    if (isRoot) chownSync(source, 33, 34);
    chmodSync(source, 0o6755);
    const from = openSync(source, "r");
    const { path, fd } = await newFile();
    const before = fstatSync(fd);
    await copyBytes({ from, to: fd });
    const { uid, gid, mode } = fstatSync(fd);
    closeSync(fd);
    closeSync(from);
    expect([uid, gid, mode]).toEqual([before.uid, before.gid, before.mode]);
    expect(readFileSync(path).equals(Buffer.alloc(3e6, "y"))).toBe(true);
  });

  test("has the holes of the source", async () => {
    const source = join(await temporaryFolder(), "source");
    writeFileSync(source, "begin");
    truncateSync(source, 100e6 + 1);
    const from = openSync(source, "r");
    const { fd } = await newFile();
    await copyBytes({ from, to: fd });
    const { size, blocks } = fstatSync(fd);
    closeSync(fd);
    closeSync(from);
    expect(size).toBe(100e6 + 1);
    expect(blocks * 512).toBeLessThan(1e6);
  });
});
