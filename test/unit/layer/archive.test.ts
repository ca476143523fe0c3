import { execFileSync } from "node:child_process";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { expect, test } from "vitest";
import {
  type ArchiveMemberWithContent,
  extractArchive,
  packArchive,
} from "../../../src/layer/index.ts";

const mtime = new Date(1_600_000_000_000);

function member(rest: Partial<ArchiveMemberWithContent>): ArchiveMemberWithContent {
  return { name: "", type: "file", mode: 0o644, size: 0, mtime, ...rest };
}

const members = [
  member({ name: "blobs/", type: "directory", mode: 0o755 }),
  member({ name: "index.json", size: 2, content: Buffer.from("{}") }),
  member({
    name: `blobs/${"n".repeat(150)}`,
    size: 300_000,
    content: () => Readable.from([Buffer.alloc(200_000, "a"), Buffer.alloc(100_000, "b")]),
  }),
  member({ name: "link", type: "symlink", linkTarget: "index.json", mode: 0o777 }),
];

test("members come back, read or skipped", async () => {
  const bytes = await buffer(packArchive(members));
  const names: string[] = [];
  for await (const { member: found, content } of extractArchive(Readable.from([bytes]))) {
    names.push(found.name);
    expect(found.mtime).toEqual(mtime);
    if (found.name === "index.json") expect(await text(content)).toBe("{}");
    if (found.type === "symlink") expect(found.linkTarget).toBe("index.json");
  }
  expect(names).toEqual(members.map(({ name }) => name));
  expect(execFileSync("tar", ["-tf", "-"], { input: bytes, encoding: "utf8" })).toBe(
    `${members.map(({ name }) => name).join("\n")}\n`,
  );
});

test("large content streams", async () => {
  const bytes = await buffer(packArchive(members));
  for await (const { member: found, content } of extractArchive(Readable.from([bytes])))
    expect((await buffer(content)).length).toBe(found.size);
});

test("a cut archive is truncated", async () => {
  const bytes = await buffer(packArchive(members));
  const read = async (): Promise<void> => {
    for await (const { content } of extractArchive(Readable.from([bytes.subarray(0, 100_000)])))
      await buffer(content);
  };
  await expect(read()).rejects.toMatchObject({ code: "LAYER_TRUNCATED" });
});

test("a member whose content fails, fails the archive", async () => {
  const broken = member({
    name: "f",
    size: 10,
    content: () => Promise.reject(new Error("no such blob")),
  });
  await expect(buffer(packArchive([broken]))).rejects.toThrow("no such blob");
});
