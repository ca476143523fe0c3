import { describe, expect, test } from "vitest";
import { compareImages, type Difference } from "./compare.ts";
import { tarSourceOf } from "./context.ts";
import type { EntryDescription } from "./context.ts";
import type { Engine } from "./engines/engine.ts";
import { isSelected } from "./engines/engine.ts";
import { flattenLayers, type Tree } from "./flatten.ts";
import type { ConfigDocument, Image } from "./image.ts";
import { sortDifferences } from "./meant.ts";
import { readTar, writeTar } from "./tar.ts";

// The judge is judged first: what it overlooks, no case finds.
const builtAfter = 2_000_000_000;

function layersOf(...layers: readonly (readonly EntryDescription[])[]): Tree {
  return flattenLayers(layers.map((entries) => readTar(writeTar(entries.map(tarSourceOf)))));
}

function imageOf(tree: Tree, config: Partial<ConfigDocument> = {}): Image {
  return { tree, config: { rootfs: { type: "layers", diff_ids: [] }, ...config } };
}

function compare(reference: Image, tsbuild: Image): string[] {
  const parts = ["config", "history", "tree"] as const;
  const found = compareImages({ reference, tsbuild }, { builtAfter, parts, ignoredFields: ["id"] });
  return found.map(({ at, reference: theirs, tsbuild: ours }) => `${at}: ${theirs} | ${ours}`);
}

describe("layers over each other", () => {
  test("whiteouts delete what lower layers have, and nothing of their own layer", () => {
    const lower = [{ path: "d/x" }, { path: "d/y" }, { path: "e/z" }];
    const upper = [{ path: "d/new" }, { path: "d/.wh..wh..opq" }, { path: ".wh.e" }];
    expect([...layersOf(lower, upper).keys()]).toEqual(["/d/new"]);
  });

  test("a file in the place of a folder removes what was in it; a folder keeps it", () => {
    const lower = [{ path: "d", type: "directory" as const }, { path: "d/x" }, { path: "e/x" }];
    const upper = [{ path: "d", type: "directory" as const, mode: "700" }, { path: "e" }];
    const tree = layersOf(lower, upper);
    expect([...tree.keys()].sort()).toEqual(["/d", "/d/x", "/e"]);
    expect(tree.get("/d")?.mode).toBe(0o700);
  });

  test("hard links are one file, until one of their names is written anew", () => {
    const links = [{ path: "x" }, { path: "y", type: "hardlink" as const, target: "x" }];
    const tree = layersOf(links);
    expect(tree.get("/x")).toBe(tree.get("/y"));
    const changed = layersOf(links, [{ path: "x", content: "new" }]);
    expect(changed.get("/y")?.content.toString()).toBe("");
  });

  test("long names, big owners, fractions and xattrs come through a tar", () => {
    const path = `${"n".repeat(120)}/é`;
    const entry = { path, owner: "3000000:4000000", mtime: 5.25, xattrs: { "user.a": "b" } };
    const node = layersOf([entry]).get(`/${path}`);
    expect(node).toMatchObject({ uid: 3_000_000, gid: 4_000_000, mtime: 5.25 });
    expect([...(node?.xattrs ?? [])]).toEqual([["user.a", "62"]]);
  });
});

describe("comparing", () => {
  const file: EntryDescription = { path: "x", content: "x", mtime: 5 };
  const looks: [string, EntryDescription, string][] = [
    ["mode", { ...file, mode: "600" }, "tree /x mode: 0644 | 0600"],
    ["owner", { ...file, owner: "1:2" }, "tree /x owner: 0:0 | 1:2"],
    ["content", { ...file, content: "y" }, 'tree /x content: "x" | "y"'],
    ["time", { ...file, mtime: 6 }, "tree /x mtime: 5 | 6"],
    ["time of the build", { ...file, mtime: builtAfter }, "tree /x mtime: 5 | now"],
    ["xattr", { ...file, xattrs: { "user.a": "b" } }, "tree /x xattrs: absent | user.a=62"],
  ];
  test.for(looks)("tells another %s", ([, changed, difference]) => {
    expect(compare(imageOf(layersOf([file])), imageOf(layersOf([changed])))).toEqual([difference]);
  });

  test("tells a missing file once, and lost hard links", () => {
    const one = layersOf([file, { path: "y", type: "hardlink", target: "x" }]);
    expect(compare(imageOf(one), imageOf(layersOf([file])))).toEqual([
      "tree /x hard links: /x = /y | absent",
      "tree /y type: file | absent",
    ]);
  });

  test("tells fields of the config and of the history, but no empty values", () => {
    const tree = layersOf([]);
    const reference = imageOf(tree, { id: 1, config: { Cmd: ["a"], Env: [] } });
    const ours = imageOf(tree, { id: 2, config: { Cmd: ["b"] }, history: [{ created_by: "X" }] });
    expect(compare(reference, ours)).toEqual([
      'config.Cmd: ["a"] | ["b"]',
      "history[00] created: absent | none",
      "history[00] created_by: absent | X",
    ]);
  });
});

describe("what is meant", () => {
  const engine = { name: "docker", version: [28, 5] } as unknown as Engine;
  const difference: Difference = { at: "tree /x mode", reference: "0644", tsbuild: "0600" };
  const listed = [{ ...difference, engine: "docker>=23", reason: "so it is" }];

  test("is what is listed for the engine, word for word", () => {
    const meant = sortDifferences([difference], { engine, listed });
    expect(meant).toEqual({ unexpected: [], meant: new Map([["so it is", 1]]), gone: [] });
    const other = { ...difference, tsbuild: "0601" };
    expect(sortDifferences([other], { engine, listed })).toMatchObject({
      unexpected: [other],
      gone: listed,
    });
  });

  test("is nothing that is listed for another engine", () => {
    expect(isSelected(engine, "docker<28.5")).toBe(false);
    expect(isSelected(engine, "docker>=28.5")).toBe(true);
    expect(isSelected(engine, "buildah")).toBe(false);
    expect(isSelected(engine, "buildah, docker>=28")).toBe(true);
    expect(() => isSelected(engine, "docker~28")).toThrow("selects no engine");
  });
});
