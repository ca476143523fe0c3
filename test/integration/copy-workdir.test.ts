import { beforeEach, expect, test } from "vitest";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import { directoryEntry, fileEntry, symlinkEntry } from "../support/layer-entries.ts";

let harness: CopyHarness;
beforeEach(async () => {
  harness = await openCopyHarness();
});

const image = () => [
  fileEntry("etc/passwd", "root:x:0:0::/:\nbob:x:1000:1001::/:\n"),
  fileEntry("etc/group", "wheel:x:10:\n"),
  directoryEntry("srv", { mode: 0o2700, uid: 3, gid: 4, mtime: 5n }),
];

test.each([
  ["", "0:0"],
  ["root", "0:0"],
  ["bob", "1000:1001"],
  ["bob:wheel", "1000:10"],
  ["1234", "1234:1234"],
  ["1234:wheel", "1234:10"],
  ["nobody-here", "0:0"],
])(
  "WORKDIR of USER %j belongs to %s, as do the directories on the way [3.76]",
  async (user, owner) => {
    const base = await harness.layers(image());
    const made = await harness.workdir("/srv/a/b", { base, user });
    expect(await harness.layer(made)).toEqual({
      srv: "directory 2700 3:4 @5",
      "srv/a": `directory 755 ${owner} @0`,
      "srv/a/b": `directory 755 ${owner} @0`,
    });
  },
);

test("an existing directory stays as it is, and the layer is made all the same [3.76]", async () => {
  const base = await harness.layers(image());
  const made = await harness.workdir("/srv", { base, user: "bob" });
  expect(await harness.layer(made)).toEqual({});
  expect(made.diffIds).toHaveLength(base.diffIds.length + 1);
  expect(await harness.nodes(made)).toEqual(await harness.nodes(base));
});

test.each([
  ["/to-srv/new", "/srv", "srv/new"],
  ["/to-srv/new", "srv/../etc", "etc/new"],
  ["/to-srv", "/made/here", "made/here"],
  ["/to-srv/new", "../../../../outside", "outside/new"],
])("WORKDIR %s goes through a link to %s [3.76]", async (path, leadsTo, place) => {
  const base = await harness.layers([...image(), symlinkEntry("to-srv", leadsTo)]);
  const made = await harness.workdir(path, { base, user: "7:8" });
  expect((await harness.layer(made))[place]).toBe("directory 755 7:8 @0");
  expect((await harness.nodes(made))["to-srv"]).toContain(leadsTo);
});

test("a file in the way is an error", async () => {
  const base = await harness.layers(image());
  for (const path of ["/etc/passwd", "/etc/passwd/deeper"])
    await expectCode(harness.workdir(path, { base }), "SNAPSHOT_NOT_A_DIRECTORY");
});

test("links that lead to each other are an error", async () => {
  const base = await harness.layers([symlinkEntry("a", "b"), symlinkEntry("b", "a")]);
  await expectCode(harness.workdir("/a/x", { base }), "LAYER_SYMLINK_LOOP");
});

test("new directories are as old as the build says [3.76]", async () => {
  const dated = await openCopyHarness({ implicitTime: 123_000_000_000n });
  expect(await dated.nodes(await dated.workdir("/a"))).toEqual({
    a: "directory 755 0:0 @123000000000",
  });
});
