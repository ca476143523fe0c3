import { describe, expect, test } from "vitest";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, freshRoot } = workspace;

const epoch = ["--build-arg", "SOURCE_DATE_EPOCH=200000000"];
const rewriting = ["-o", "type=image,rewrite-timestamp=true"];
const images = async (root: string): Promise<string> =>
  (await expectCli(["images"], { root })).stdout;

describe("--check-reproducible", () => {
  test("lets an image pass that is the same twice, and only then names it", async () => {
    const root = await freshRoot();
    const folder = await context({
      Dockerfile: "FROM BUSYBOX\nCOPY f /made/f\nRUN echo x >/x && touch /made\nWORKDIR /w\n",
      f: "f\n",
    });
    const args = ["-t", "same:1", "--check-reproducible", ...epoch];
    const { stderr } = await expectCli([...args, ...rewriting, folder], { root });
    expect(stderr).toMatch(/first build: .*RUN echo x/);
    expect(stderr).toMatch(/second build: .*RUN echo x/);
    expect(await images(root)).toMatch(/^same +1 /m);
  });

  test("names the file and the field that differ, and leaves nothing named", async () => {
    const root = await freshRoot();
    const folder = await context({
      Dockerfile: "FROM BUSYBOX\nRUN head -c 16 /dev/urandom >/id && echo x >/x\n",
    });
    const args = ["-t", "other:1", "--check-reproducible", ...epoch, ...rewriting];
    const result = await cli([...args, folder], { root });
    expect(result.code).toBe(1);
    expect(errorCode(result)).toBe("BUILD_NOT_REPRODUCIBLE");
    expect(result.stdout).toMatch(
      /^layer 2 \(RUN .*\): \/id: content .+ at byte 0, then .+ at byte 0\n$/,
    );
    expect(await images(root)).not.toContain("other");
  });

  test("says of an image in which only times differ how to fix them", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo x >/x\n" });
    const result = await cli(["--check-reproducible", folder], { root: await freshRoot() });
    expect(errorCode(result)).toBe("BUILD_NOT_REPRODUCIBLE");
    expect(result.stdout).toMatch(/^layer 2 \(RUN .*\): \/: mtime \S+Z, then \S+Z$/m);
    expect(result.stdout).toMatch(/^config: created: ".*Z", then ".*Z"$/m);
    expect(result.stderr).toContain("rewrite-timestamp=true");
  });

  test("is refused for sources that can be read only once", async () => {
    const result = await cli([
      "--check-reproducible",
      "-f",
      "-",
      await context({ Dockerfile: "" }),
    ]);
    expect(result.code).toBe(2);
  });
});
