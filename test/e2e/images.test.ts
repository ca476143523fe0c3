import { describe, expect, test } from "vitest";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, inspect, output } = workspace;

async function build(name: string, text = ""): Promise<string> {
  const folder = await context({ Dockerfile: `FROM BUSYBOX\nENV NAME=${name}\n${text}` });
  return (await expectCli(["-q", "-t", name, folder])).stdout.trim();
}

describe("images", () => {
  test("lists each name with docker's columns; a re-tagged image stands twice with one id", async () => {
    const id = await build("list:1");
    await expectCli(["tag", "list:1", "list:again"]);
    const { stdout } = await expectCli(["images"]);
    const [header, ...rows] = stdout.trimEnd().split("\n");
    expect(header?.split(/ {2,}/)).toEqual(["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    const short = id.slice("sha256:".length, "sha256:".length + 12);
    const mine = rows.filter((row) => row.startsWith("list ")).map((row) => row.split(/ {2,}/));
    expect(mine.map((cells) => cells.slice(0, 3)).sort()).toEqual([
      ["list", "1", short],
      ["list", "again", short],
    ]);
    for (const cells of mine) expect(cells[4]).toMatch(/^[\d.]+ ?(B|kB|MB)$/);
  });

  test("-q prints ids, --format json prints objects", async () => {
    const id = await build("format:1");
    const quiet = await expectCli(["images", "-q"]);
    expect(quiet.stdout.split("\n")).toContain(id.slice(7, 19));
    const { stdout } = await expectCli(["images", "--format", "json"]);
    const told = JSON.stringify(parseJsonOrLines(stdout));
    expect(told).toContain("format");
    expect(told).toContain(id.slice(7, 19));
  });

  test("the base that a build pulled is in the store, ready for the next one", async () => {
    await build("pulled:1", "RUN true\n");
    const base = await expectCli(["run", "--rm", "pulled:1", "true"]);
    expect(base.code).toBe(0);
  });
});

describe("tag", () => {
  test("gives no digest: only content has one", async () => {
    await build("undigested:1");
    const claimed = `claimed@sha256:${"a".repeat(64)}`;
    const folder = await context({ Dockerfile: "FROM BUSYBOX\n" });
    for (const args of [
      ["tag", "undigested:1", claimed],
      ["-t", claimed, folder],
      ["-o", `type=image,name=${claimed}`, folder],
    ]) {
      const result = await cli(args);
      expect(result.code).toBe(2);
      expect(result.stderr).toContain("a build tag cannot contain a digest");
    }
    expect(errorCode(await cli(["inspect", claimed]))).toBe("IMAGE_NOT_FOUND");
  });

  test("gives another name to the same image, replacing what had it", async () => {
    const one = await build("tag:1");
    const two = await build("tag:2", "LABEL other=1\n");
    await expectCli(["tag", "tag:1", "tag:2"]);
    expect((await inspect("tag:2")).Id).toBe(one);
    expect((await inspect(two)).RepoTags).toEqual([]);
    await expectCli(["tag", one.slice(7, 19), "example.test:5000/deep/path"]);
    expect((await inspect("example.test:5000/deep/path:latest")).Id).toBe(one);
  });

  test("of an unknown image fails", async () => {
    const result = await cli(["tag", "not-here", "x:1"]);
    expect(result.code).toBe(1);
    expect(errorCode(result)).toBe("IMAGE_NOT_FOUND");
  });
});

describe("rmi", () => {
  test("takes one name, then the image with its last name", async () => {
    const id = await build("rmi:1");
    await expectCli(["tag", "rmi:1", "rmi:2"]);
    const first = await expectCli(["rmi", "rmi:1"]);
    expect(first.stdout).toContain("Untagged: ");
    expect(first.stdout).not.toContain("Deleted: ");
    expect((await inspect("rmi:2")).Id).toBe(id);
    const last = await expectCli(["rmi", "rmi:2"]);
    expect(last.stdout).toContain(`Deleted: ${id}`);
    expect((await cli(["inspect", id])).code).toBe(1);
  });

  test("by id refuses an image with several names unless forced", async () => {
    const id = await build("many:1");
    await expectCli(["tag", "many:1", "many:2"]);
    expect((await cli(["rmi", id])).code).toBe(1);
    await expectCli(["rmi", "-f", id]);
    expect((await cli(["inspect", "many:2"])).code).toBe(1);
  });

  test("leaves layers that another image shares", async () => {
    await build("shared:1", "RUN echo shared >/s\n");
    await build("shared:2", "RUN echo shared >/s\nRUN echo more >/m\n");
    await expectCli(["rmi", "shared:1"]);
    expect(await output("shared:2", "cat", "/s", "/m")).toBe("shared\nmore\n");
  });

  test("of several tells each that goes and each that does not, and fails in the end", async () => {
    await build("several:1");
    const id = await build("several:2", "LABEL number=two\n");
    await expectCli(["tag", "several:2", "several:3"]);
    const result = await cli(["rmi", "not-here:1", "several:1", id, "not-here:2", "several:3"]);
    expect(result.code).toBe(1);
    expect(result.stdout.match(/^Untagged: .*$/gm)).toEqual([
      "Untagged: several:1",
      "Untagged: several:3",
    ]);
    expect(result.stderr.match(/\[[A-Z_]+\]$/gm)).toEqual([
      "[IMAGE_NOT_FOUND]",
      "[LOCAL_IMAGE_HAS_NAMES]",
      "[IMAGE_NOT_FOUND]",
    ]);
    expect((await inspect("several:2")).Id).toBe(id);
  });
});

describe("inspect and history", () => {
  test("inspect takes names, ids and unique beginnings of ids", async () => {
    const id = await build("look:1");
    for (const name of ["look:1", id, id.slice(7), id.slice(7, 19)]) {
      expect((await inspect(name)).Id).toBe(id);
    }
    const image = await inspect("look:1");
    expect(image.RepoTags).toEqual(["look:1"]);
    expect(image.RootFS.Type).toBe("layers");
    expect(image.RootFS.Layers[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(image.Size).toBeGreaterThan(1_000_000);
  });

  test("inspect prints the images that are here, and fails for the others", async () => {
    const id = await build("here:1");
    for (const command of [["inspect"], ["image", "inspect"]]) {
      const result = await cli([...command, "not-here:1", "here:1"]);
      expect([result.code, errorCode(result)]).toEqual([1, "IMAGE_NOT_FOUND"]);
      expect(JSON.parse(result.stdout)).toMatchObject([{ Id: id }]);
    }
  });

  test("history has one row a step, the newest first", async () => {
    await build("past:1", "RUN head -c 5000 /dev/zero >/five\nLABEL a=b\n");
    const { stdout } = await expectCli(["history", "past:1"]);
    const [header, ...rows] = stdout.trimEnd().split("\n");
    expect(header).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/);
    expect(rows[0]).toContain("LABEL a=b");
    expect(rows[1]).toContain("RUN /bin/sh -c head");
    expect(rows[1]).toMatch(/ 5(\.\d+)?kB/);
    expect(rows).toHaveLength(4);
  });
});

function parseJsonOrLines(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
  }
}
