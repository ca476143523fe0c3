import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { resolveOwner, resolveUser, type ResolvedUser } from "../../../src/sandbox/index.ts";
import { createDirectoryTree, writeTree } from "../../support/directory-tree.ts";

const passwd = [
  "root:x:0:0:root:/root:/bin/sh",
  "# a comment: of:no:kind",
  "broken:x:abc:0::/:",
  "+nis::::::",
  "bob:x:1000:1001:Bob,,,:/home/bob:/bin/bash",
  "bob:x:2000:2001::/second:/bin/sh",
  "alias:x:1000:9::/home/alias:/bin/sh",
  "homeless:x:1500:1500:::",
  "42:x:4242:4242::/digits:/bin/sh",
  "",
].join("\n");

const group = [
  "root:x:0:",
  "wheel:x:10:root,bob",
  "bob:x:1001:bob",
  "staff:x:50:alias, bob",
  "audio:x:29:bobby,bob",
  "huge:x:99999999999:nobody",
  "broken:x:zz:bob",
  "",
].join("\n");

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tsbuild-users-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const user = (value: string): Promise<ResolvedUser> =>
  resolveUser({ tree: createDirectoryTree(root), user: value });
const owner = (value: string, numericGidFollowsUid = true): Promise<string> =>
  resolveOwner({ tree: createDirectoryTree(root), owner: value, numericGidFollowsUid }).then(
    ({ uid, gid }) => `${uid}:${gid}`,
  );

describe("with account files", () => {
  beforeEach(() => writeTree(root, { "etc/passwd": passwd, "etc/group": group }));

  test.each<[string, ResolvedUser]>([
    ["", { uid: 0, gid: 0, groups: [0, 10], home: "/root" }],
    ["root", { uid: 0, gid: 0, groups: [0, 10], home: "/root" }],
    ["0", { uid: 0, gid: 0, groups: [0, 10], home: "/root" }],
    ["bob", { uid: 1000, gid: 1001, groups: [1001, 10, 29], home: "/home/bob" }],
    ["1000", { uid: 1000, gid: 1001, groups: [1001, 10, 29], home: "/home/bob" }],
    ["bob:", { uid: 1000, gid: 1001, groups: [1001, 10, 29], home: "/home/bob" }],
    ["bob:staff", { uid: 1000, gid: 50, groups: [50], home: "/home/bob" }],
    ["bob:7", { uid: 1000, gid: 7, groups: [7], home: "/home/bob" }],
    ["1000:wheel", { uid: 1000, gid: 10, groups: [10], home: "/home/bob" }],
    [":wheel", { uid: 0, gid: 10, groups: [10], home: "/root" }],
    ["alias", { uid: 1000, gid: 9, groups: [9, 50], home: "/home/alias" }],
    ["homeless", { uid: 1500, gid: 1500, groups: [1500], home: "/" }],
    ["777", { uid: 777, gid: 0, groups: [0], home: "/" }],
    ["777:888", { uid: 777, gid: 888, groups: [888], home: "/" }],
    ["42", { uid: 42, gid: 0, groups: [0], home: "/" }],
    ["2147483647", { uid: 2147483647, gid: 0, groups: [0], home: "/" }],
  ])("user %j", async (value, expected) => {
    expect(await user(value)).toEqual(expected);
  });

  test.each(["eve", "broken", "bob:nogroup", "eve:7", "+nis", "# a comment"])(
    "user %j is unknown",
    async (value) => {
      await expect(user(value)).rejects.toMatchObject({ code: "SANDBOX_USER_UNKNOWN" });
    },
  );

  test.each(["2147483648", "-1", "1:2147483648", "bob:99999999999999999999"])(
    "user %j is out of range",
    async (value) => {
      await expect(user(value)).rejects.toMatchObject({ code: "SANDBOX_USER_INVALID" });
    },
  );

  test.each([
    ["", "0:0"],
    ["root", "0:0"],
    ["0", "0:0"],
    ["bob", "1000:1001"],
    ["1000", "1000:1000"],
    ["777", "777:777"],
    ["777:", "777:0"],
    ["bob:", "1000:0"],
    ["bob:staff", "1000:50"],
    ["bob:5", "1000:5"],
    ["5:staff", "5:50"],
    ["eve", "0:0"],
    ["eve:eves", "0:0"],
    ["eve:5", "0:5"],
    ["bob:eves", "1000:1001"],
    ["777:eves", "777:777"],
  ])("owner %j is %s", async (value, expected) => {
    expect(await owner(value)).toBe(expected);
  });

  test("a number as owner brings gid 0 where asked so", async () => {
    expect(await owner("777", false)).toBe("777:0");
    expect(await owner("bob", false)).toBe("1000:1001");
  });

  test("an owner out of range is refused", async () => {
    await expect(owner("4294967295")).rejects.toMatchObject({ code: "SANDBOX_USER_INVALID" });
  });
});

describe("without account files", () => {
  test("numbers and the default need none", async () => {
    expect(await user("")).toEqual({ uid: 0, gid: 0, groups: [0], home: "/" });
    expect(await user("5:6")).toEqual({ uid: 5, gid: 6, groups: [6], home: "/" });
    expect(await user("5")).toEqual({ uid: 5, gid: 0, groups: [0], home: "/" });
  });

  test("a name is unknown to RUN, and 0 as owner", async () => {
    await expect(user("bob")).rejects.toMatchObject({ code: "SANDBOX_USER_UNKNOWN" });
    await expect(user("root")).rejects.toMatchObject({ code: "SANDBOX_USER_UNKNOWN" });
    expect(await owner("bob:staff")).toBe("0:0");
  });
});

describe("hostile account files", () => {
  test("symlinks resolve inside the tree", async () => {
    await writeTree(root, {
      "etc/passwd": { symlink: "../../../../../usr/lib/accounts/passwd" },
      "etc/group": { symlink: "/usr/lib/accounts/group" },
      "usr/lib/accounts/passwd": "inside:x:31:32::/in:/bin/sh\n",
      "usr/lib/accounts/group": "inside:x:33:inside\n",
    });
    expect(await user("inside")).toEqual({ uid: 31, gid: 32, groups: [32, 33], home: "/in" });
  });

  test("a symlink to the host's file finds nothing there", async () => {
    await writeTree(root, { "etc/passwd": { symlink: "/etc/passwd-of-the-host" } });
    await expect(user("root")).rejects.toMatchObject({ code: "SANDBOX_USER_UNKNOWN" });
  });

  test("a symlink that leads to itself is an error, no endless walk", async () => {
    await writeTree(root, { "etc/passwd": { symlink: "passwd" } });
    await expect(user("root")).rejects.toMatchObject({ code: "LAYER_SYMLINK_LOOP" });
  });

  test("no regular file", async () => {
    await writeTree(root, { "etc/passwd/": "" });
    await expect(user("root")).rejects.toMatchObject({ code: "SANDBOX_ACCOUNTS_UNREADABLE" });
  });

  test("more than 4 MiB", async () => {
    await writeTree(root, { "etc/passwd": `${passwd}${"#".repeat(4 * 1024 * 1024)}` });
    await expect(user("root")).rejects.toMatchObject({
      code: "SANDBOX_ACCOUNTS_UNREADABLE",
      details: { path: "/etc/passwd" },
    });
  });
});
