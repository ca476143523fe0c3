import { expect, test } from "vitest";
import type { BuildEnvironment } from "../../src/build/environment.ts";
import { makeKey } from "../../src/build/keys.ts";
import { readFieldsOf } from "../../src/build/read-set.ts";
import type { MergedTree, NodeStat } from "../../src/layer/index.ts";
import type { CopyOp } from "../../src/plan/index.ts";

const looks = {
  ...{ mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0n, devMajor: 0, devMinor: 0, nlink: 1 },
  inode: "1",
};

/** One directory `many` with so many symlinks to `x` in it. */
function manyLinks(count: number): MergedTree {
  const names = Array.from({ length: count }, (_, index) =>
    Buffer.from(String(index).padStart(6, "0")),
  );
  const stat = (type: NodeStat["type"]): NodeStat => ({ ...looks, type });
  return {
    lstat: (path) =>
      Promise.resolve(stat(["", "many"].includes(path.toString()) ? "directory" : "symlink")),
    readdir: (path) => Promise.resolve(path.length === 0 ? [Buffer.from("many")] : names),
    readlink: () => Promise.resolve(Buffer.from("x")),
    openFile: () => Promise.reject(new Error("there are no files")),
    xattrs: () => Promise.resolve(new Map()),
  };
}

const copy: CopyOp = {
  type: "copy",
  instruction: "COPY",
  sources: [
    { type: "path", input: 1, pattern: "many", unpack: false, keepOwner: false, fromUrl: false },
  ],
  destination: "/",
  link: false,
  parents: false,
  exclude: [],
};

const environment = {
  signal: new AbortController().signal,
  statCache: undefined,
} as unknown as BuildEnvironment;

test("a COPY may read more files than a call has room for arguments", async () => {
  const count = 150_000;
  const tree = manyLinks(count);
  const result = { type: "tree", tree } as const;
  const parts = await readFieldsOf({ op: copy, index: 1, result, environment });
  const fields = [...makeKey("content", parts).object.fields];
  // The directory itself, and the digest of all.
  expect(fields).toHaveLength(count + 2);
  expect(await readFieldsOf({ op: copy, index: 0, result, environment })).toEqual([]);
});

test("counting files ends when the build is canceled", async () => {
  const canceled = { ...environment, signal: AbortSignal.abort(new Error("enough")) };
  const result = { type: "tree", tree: manyLinks(10) } as const;
  const reading = readFieldsOf({ op: copy, index: 1, result, environment: canceled });
  await expect(reading).rejects.toThrow("enough");
});
