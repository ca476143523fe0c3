import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import { hostArch, pushIndex } from "../support/setup-platforms.ts";
import { runProgram, useWorkspace, whatIsLacking } from "../support/setup-workspace.ts";

// crane is a Go program that Debian does not have: it judges where it is found, by TSBUILD_TEST_CRANE or on the PATH.
const program = process.env["TSBUILD_TEST_CRANE"] || "crane";
const lacking = program.includes("/") ? undefined : whatIsLacking([program]);
const workspace = useWorkspace();
const { context, expectCli } = workspace;

beforeEach((test) => {
  if (lacking !== undefined) test.skip(lacking);
});

async function crane(...args: string[]): Promise<string> {
  return (await runProgram(program, args)).trim();
}

async function raw(place: string): Promise<string> {
  return (await expectCli(["image", "inspect", "--raw", place])).stdout.trim();
}

describe("crane", () => {
  test("finds nothing wrong with what was pushed, and copies it as it is", async () => {
    const name = await pushIndex(workspace, "crane/pushed");
    await crane("validate", "--remote", name);
    const copy = `${workspace.registry.host}/crane/copied:1`;
    await crane("copy", name, copy);
    expect(await raw(`docker://${copy}`)).toBe(await raw(`docker://${name}`));
    expect(await crane("manifest", name)).toBe(await raw(`docker://${name}`));
  });

  test("reads and pushes what was saved, archive and layout", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo saved >/s\n" });
    await expectCli(["-t", "crane/saved:1", folder]);
    const place = await makeFolder();
    const [archive, layout] = [join(place, "image.tar"), join(place, "layout")];
    await expectCli(["save", "-o", archive, "crane/saved:1"]);
    await crane("validate", "--tarball", archive);
    await expectCli(["save", "--format", "oci-dir", "-o", layout, "crane/saved:1"]);
    for (const [tag, path] of Object.entries({ archive, layout })) {
      const name = `${workspace.registry.host}/crane/saved:${tag}`;
      await crane("push", path, name);
      const root = await workspace.freshRoot();
      const run = await expectCli(["run", "--rm", name, "cat", "/s"], { root });
      expect(run.stdout).toBe("saved\n");
    }
  });

  test("writes archives and layouts that are loaded", async () => {
    const name = await pushIndex(workspace, "crane/pulled");
    const place = await makeFolder();
    const [archive, layout] = [join(place, "image.tar"), join(place, "layout")];
    await crane("pull", "--platform", `linux/${hostArch}`, name, archive);
    await crane("pull", "--format", "oci", name, layout);
    const root = await workspace.freshRoot();
    expect((await expectCli(["load", "-i", archive], { root })).stdout).toContain(name);
    const digest = await crane("digest", name);
    expect((await expectCli(["load", "-i", layout], { root })).stdout).toContain(digest);
  });

  test("sees what was changed and attached, and makes indexes that are taken apart again", async () => {
    const { host } = workspace.registry;
    const changed = `${host}/crane/changed:1`;
    await expectCli([
      ...["image", "mutate", "-q", "-l", "changed=yes", "-t", `docker://${changed}`],
      `docker://${workspace.busybox}`,
    ]);
    await crane("validate", "--remote", changed);
    const { config } = JSON.parse(await crane("config", changed)) as { config: { Labels: object } };
    expect(config.Labels).toEqual({ changed: "yes" });
    const attach = ["image", "attach", "-q", changed, "--artifact-type", "a/b"];
    const artifact = await expectCli([...attach, "--annotation", "who=me"]);
    const tag = (await crane("digest", changed)).replace(":", "-");
    expect(await crane("manifest", `${host}/crane/changed:${tag}`)).toContain(
      artifact.stdout.trim(),
    );
    const index = `${host}/crane/index:1`;
    await crane("index", "append", "-m", changed, "-m", workspace.busybox, "-t", index);
    await expectCli(["manifest", "create", "crane/list:1", `docker://${index}`]);
    const listed = JSON.parse(
      (await expectCli(["manifest", "inspect", "crane/list:1"])).stdout,
    ) as {
      manifests: { digest: string }[];
    };
    expect(listed.manifests.map(({ digest }) => digest)).toEqual([
      ...[await crane("digest", changed), await crane("digest", workspace.busybox)],
    ]);
  });
});
